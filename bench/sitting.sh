#!/usr/bin/env bash
# All that is to be known about a GPU, in one sitting of less than 9 minutes: sitting.sh OUT [PEER]; see sitting.ts.
# From a built checkout (bench/sitting.sh), or where there is no more than dist/, build/, package.json and the production
# node_modules (build/bench/sitting.sh): it needs no network, no git and nothing else of the repository.
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
for program in "$here/sitting.js" "$here/../build/bench/sitting.js"; do
  [ -e "$program" ] && exec node "$program" "$@"
done
echo "error: expected build/bench/sitting.js, found none: npm run build" >&2
exit 2
