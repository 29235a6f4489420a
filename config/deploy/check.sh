#!/bin/sh
# Checks each file of this directory by its own tool. What cannot be checked because its tool is missing is said, and counts as a failure:
#   sh config/deploy/check.sh
# Tools: docker compose (or docker-compose), kubeconform with a network or kubernetes-validate (PyPI), systemd-analyze, promtool, Python with promql-parser (PyPI; PYTHON names another one).
set -u
cd "$(dirname "$0")" || exit 2
failed=0

say() { printf '%-8s %s\n' "$1" "$2"; }

# check WHAT COMMAND...: what the command said is shown only if it failed.
check() {
  what=$1
  shift
  if output=$("$@" 2>&1); then say ok "$what"; else
    say FAILED "$what"
    printf '%s\n' "$output" | sed 's/^/         /'
    failed=1
  fi
}

missing() {
  say MISSING "$1: $2 is not there"
  failed=1
}

has() { command -v "$1" >/dev/null 2>&1; }

# compose: with both profiles; without the passwords it must refuse.
export POSTGRES_PASSWORD=check SHOP_DB_PASSWORD=check
compose=
if has docker && docker compose version >/dev/null 2>&1; then compose='docker compose'; elif has docker-compose; then compose=docker-compose; fi
without_password() { ! env -u SHOP_DB_PASSWORD $compose -f compose/compose.yaml config -q; }
if [ -n "$compose" ]; then
  check 'compose' $compose -f compose/compose.yaml config -q
  check 'compose, profile kafka' $compose -f compose/compose.yaml --profile kafka config -q
  check 'compose asks for its passwords' without_password
else missing compose 'docker compose'; fi
check 'compose: the script of the database' sh -n compose/shop.sh

if has kubernetes-validate; then check 'kubernetes, 1.33' kubernetes-validate --strict --quiet -k 1.33 kubernetes/sluice.yaml
elif has kubeconform; then check 'kubernetes, 1.33' kubeconform -strict -kubernetes-version 1.33.0 kubernetes/sluice.yaml
else missing kubernetes 'kubernetes-validate or kubeconform'; fi

# In a root of its own, where ExecStart= is there.
if has systemd-analyze; then
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  mkdir -p "$root/usr/local/bin" "$root/etc/systemd/system" "$root/usr/lib/systemd"
  cp -r /usr/lib/systemd/system "$root/usr/lib/systemd/"
  printf '#!/bin/sh\n' >"$root/usr/local/bin/sluice"
  chmod +x "$root/usr/local/bin/sluice"
  cp systemd/sluice.service "$root/etc/systemd/system/"
  check 'systemd unit' systemd-analyze verify --root="$root" sluice.service
  check 'systemd unit, exposure below 1.5 of 10' systemd-analyze security --offline=true --threshold=15 systemd/sluice.service
else missing 'systemd unit' systemd-analyze; fi

if has promtool; then
  check 'prometheus: rules' promtool check rules prometheus/sluice.rules.yml
  check 'prometheus: tests of the rules' promtool test rules prometheus/sluice.rules.test.yml
  check 'prometheus: configuration' promtool check config prometheus/prometheus.yml
else missing prometheus promtool; fi

python=${PYTHON:-python3}
if "$python" -c 'import promql_parser' 2>/dev/null; then
  check 'grafana: every expression parses' "$python" -c '
import json, promql_parser
for panel in json.load(open("grafana/sluice.json"))["panels"]:
    for target in panel.get("targets", []):
        promql_parser.parse(target["expr"].replace("$__rate_interval", "1m"))
'
else missing grafana 'promql-parser (pip install promql-parser)'; fi

exit $failed
