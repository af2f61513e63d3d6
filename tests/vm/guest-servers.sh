#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest-servers.sh: the tests of tests/servers that are tagged `vm` (each real server in each way of sharing), as root in a virtual
# machine, with the fentry backend, which the machine's own kernel may refuse. VM_REQUESTS: connections per load; an emulated machine makes some 400
# to 1,000 a second. Run by tests/vm/run.sh servers.
set -uo pipefail
documents=$(mktemp -d) tap=$(mktemp)
export SOCKFAIR_TEST_N=${VM_REQUESTS:-200} SOCKFAIR_TEST_BACKEND=fentry SOCKFAIR_TEST_EMULATED=yes SOCKFAIR_TEST_DOCUMENTS=$documents
status=0
bats --tap --filter-tags vm tests/servers/*.bats | tee "$tap" || status=1
tests/check_schema.py --kept "$documents" || status=1
echo "1..$(($(sed -n 's/^1\.\.//p' "$tap") + 1))"
exit $status
