#!/usr/bin/env bash
# All that is to be known about a GPU, in one sitting: bench/sitting.sh OUT [PEER], from a built checkout (or one that
# holds only dist/, build/ and node_modules/). OUT gets one file per part; a part that fails is named in OUT/failed and
# the others go on. PEER is a PyTorch script that takes --shape, --device, --impl, --loss, --batch, --sequence, --rank
# and prints one JSON line: the same joint step, for the ratio.
set -uo pipefail
out=${1:?usage: bench/sitting.sh OUT [PEER]} peer=${2:-}
mkdir -p "$out"
: >"$out/failed"
results=$out/results.jsonl

part() {
  local name=$1 limit=$2
  shift 2
  echo "== $name"
  timeout "$limit" "$@" >"$out/$name.txt" 2>&1 || echo "$name: code $?" >>"$out/failed"
  tail -n 4 "$out/$name.txt"
}

bench() { node build/bench/run.js --device webgpu --json --save "$results" "$@"; }
export -f bench 2>/dev/null
run() { part "$1" "$2" bash -c "results='$results'; $(declare -f bench); bench ${*:3}"; }

part adapter 60 node build/bench/adapter.js
part ops 600 env RIVULET_REQUIRE_WEBGPU=1 node build/tests/ops/webgpu.test.js
part products 300 env RIVULET_REQUIRE_WEBGPU=1 node build/tests/devices/matrixProducts.test.js
part attention 300 env RIVULET_REQUIRE_WEBGPU=1 node build/tests/devices/attentionMatrix.test.js
part tuner 300 env RIVULET_REQUIRE_WEBGPU=1 node build/tests/devices/tuner.test.js
part step-goldens 300 env RIVULET_REQUIRE_WEBGPU=1 node build/tests/training/webgpu.test.js
for kernels in matrix f16 f32; do
  for op in linear attention joint_loss_head; do
    run "$op-$kernels" 300 --shape llama --batch 8 --sequence 1024 --only "$op" --kernels "$kernels" --tune full
  done
done
[ -n "$peer" ] && part torch-matmul 120 python3 bench/matmul_torch.py
run others 200 --shape llama --only rmsnorm
for rank in 8 64; do
  run "step-rank-$rank" 500 --shape llama --batch 8 --sequence 1024 --only step --rank "$rank" --iterations 5
  run "step-alone-rank-$rank" 300 --shape llama --batch 8 --sequence 1024 --only step --teacher none --rank "$rank"
  if [ -n "$peer" ]; then
    for loss in naive chunked; do
      part "torch-rank-$rank-$loss" 300 python3 "$peer" --shape llama --device cuda --impl hf --loss "$loss" \
        --batch 8 --sequence 1024 --rank "$rank"
    done
  fi
done
echo "failed parts:"
cat "$out/failed"
