# SPDX-License-Identifier: Apache-2.0
"""What runs in Nova's virtual environment and not in ours."""
