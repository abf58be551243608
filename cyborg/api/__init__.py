# SPDX-License-Identifier: Apache-2.0
"""The REST API: authenticates, validates, authorises, reads and records; decisions are the conductor's.

answers.py      the outermost layer: every error in its one form, the headers of every answer
request.py      what one caller asks: body, query, version, links
routing.py      which method of which controller
schemas/        the one truth of what bodies and queries may look like
controllers/    allow, load, act, answer
views/          records to the wire form
"""
