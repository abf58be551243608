# SPDX-License-Identifier: Apache-2.0
"""The revisions, oldest first; each says what it changes and never imports the models."""
