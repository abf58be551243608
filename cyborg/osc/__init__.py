# SPDX-License-Identifier: Apache-2.0
"""Commands of ``openstack`` that the stock client lacks; a client, which knows nothing of the service's insides."""
