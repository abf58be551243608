# SPDX-License-Identifier: Apache-2.0
"""What may be asked of devices."""

from cyborg.api.schemas import common

QUERY: common.Schema = {
    "type": "object",
    "properties": {"type": common.TEXT, "vendor": common.TEXT, "hostname": common.TEXT, **common.FILTERS},
}
