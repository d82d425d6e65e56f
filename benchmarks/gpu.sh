#!/usr/bin/env bash
# What is to be measured on a machine with torch and a GPU, which needs neither Ray nor a network:
#
#     benchmarks/gpu.sh OUT [DEVICE]
#
# The CUDA tests, then tables of correctness, memory and speed, each in a file of its own under OUT; then a panel of
# Figure 1 (mlp4x40 on mnist, 21 rho, 100,000 steps) as far as PANEL_SECONDS (240) go; run again, it goes on from there.
set -u -o pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: benchmarks/gpu.sh OUT [DEVICE]}
device=${2:-cuda}
python=${PYTHON:-python3}
if [ "$device" = cpu ]; then  # at toy size: to try this script out
    steps=4 members=2 maps=1 batch=2 repeats="1 --rounds 1 --shapes 1" mlp=mlp2x8h16 precisions=float32
    models=("conv3x2x7x7f4" "resnet2x2x7x7b1f4" "resnet2x2x8x8b1f4 --image 3x32x32/256 --mixture 2")
    panel="--rho 0.5 1 --steps 20"
else
    steps=40 members="1 4 11 21 42 64" maps="1 4 11" batch=64 repeats=20 mlp=mlp4x40 precisions="float32 tf32 bf16"
    models=("conv3x8x7x7" "resnet3x8x14x14f32" "resnet3x8x16x16b6f100 --image 3x32x32/256 --mixture 10")
    panel="--steps 100000 --rho 0 .2 .4 .5 .6 .7 .75 .8 .85 .88 .9 .91 .92 .93 .94 .95 .96 .97 .98 .99 1"
fi
seconds=${PANEL_SECONDS:-240}
mkdir -p "$out"
status=0

table() {  # file, command: a failure is seen in the file and in the exit status, and the rest goes on
    file=$1
    shift
    { echo "\$ $*"; "$@"; } >"$out/$file" 2>&1 || { status=1; echo "failed: $* (see $out/$file)" >&2; }
}

{
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null
    "$python" -c 'import platform, numpy, torch; print("python", platform.python_version(), "torch", torch.__version__,
        "cuda", torch.version.cuda, "numpy", numpy.__version__)'
} >"$out/environment.txt"
table tests.txt "$python" -m pytest -q -p no:cacheprovider -m cuda tests/hvae_core
table checks.md "$python" -m benchmarks.gpu_checks --device "$device" --model "$mlp" --steps $((5 * steps))
for precision in $precisions; do
    # shellcheck disable=SC2086  # the members are a list
    table "pack-step-$precision.md" "$python" -m benchmarks.pack_step --model "$mlp" --batch-size 100 \
        --device "$device" --precision "$precision" --steps "$steps" --members $members
done
for model in "${models[@]}"; do
    # shellcheck disable=SC2086  # a model, and its own options
    table "pack-step-${model%% *}.md" "$python" -m benchmarks.pack_step --model $model --batch-size "$batch" \
        --device "$device" --steps "$steps" --members $maps
done
# shellcheck disable=SC2086  # options
table conv-stack.md "$python" -m benchmarks.conv_stack --device "$device" --steps $repeats
part_of_panel() {  # what the time does not reach is no failure
    timeout "$seconds" "$@"
    code=$?
    [ $code -ne 124 ] && return $code
    echo "stopped after $seconds s: run again to go on"
}
# shellcheck disable=SC2086  # a list of options
table panel.txt part_of_panel "$python" -m hvae_core --model "$mlp" --dataset mnist $panel --eval-every 10000 \
    --ll-examples 100 --device "$device" --checkpoints "$out/panel-checkpoints" --out "$out/panel.json"
table panel-figure.txt "$python" -m benchmarks.panel "$out"
exit $status
