# SPDX-License-Identifier: Apache-2.0
"""nova-compute with the hypervisor that lies beside this file: Nova looks for it in a package of its own only.

python compute.py --config-file nova.conf --config-file HOST.conf
"""

from pathlib import Path


def main() -> None:
    # First, because it decides how threads work.
    import nova.virt
    from nova.cmd import compute

    nova.virt.__path__.append(str(Path(__file__).parent))
    compute.main()


if __name__ == "__main__":
    main()
