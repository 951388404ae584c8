#!/bin/sh
# Makes the policy of the twin from nothing, in six rounds of collecting and training, on two
# processes. Started again, it goes on where it was interrupted.
#   make policy OUT=runs/policy        # afterwards: OUT/round6/checkpoint
set -eu

out=${1:?"folder for the policy is missing"}
if [ $# -ne 1 ]; then echo "error: one folder is needed" >&2; exit 2; fi

say() {
    echo "$(date '+%F %T') $*"
}

data() { # round part: a folder of demonstrations
    echo "$out/round$1/$2"
}

collect() { # round part first-seed options...
    say "round $1: collects $2"
    at=$(data "$1" "$2")
    seed=$3
    shift 3
    adp-ros collect --workers 2 --keep-every 3 --seed "$seed" --out "$at" "$@"
}

correct() { # round part first-seed options...: moved by the policy of the round before
    round=$1
    part=$2
    seed=$3
    shift 3
    collect "$round" "$part" "$seed" --policy "$out/round$((round - 1))/checkpoint" "$@"
}

train() { # round recipe data...
    round=$1
    recipe=$2
    shift 2
    if [ -d "$out/round$round/checkpoint" ]; then return; fi
    say "round $round: trains $recipe"
    if [ "$round" -gt 1 ]; then set -- --checkpoint "$out/round$((round - 1))/checkpoint" --data "$@"
    else set -- --data "$@"; fi
    torchrun --standalone --nproc-per-node 2 -m adp_ros.cli train "$recipe" --out "$out/round$round" "$@"
}

export OMP_NUM_THREADS=1
picks="carrot_to_pan cube_to_plate pot_to_plate"
# shellcheck disable=SC2086 # the list of tasks is meant to be split

collect 1 experts 0 --task all --episodes 110 --mix clean:1,noisy:2
train 1 twin "$(data 1 experts)"

correct 2 picks 320000 --task $picks --episodes 28 --expert-share 0.25 --time-limit 24
correct 2 wiping 330000 --task wipe_table --episodes 28 --expert-share 0.25 --time-limit 36
set -- "$(data 1 experts)" "$(data 2 picks)" "$(data 2 wiping)"
train 2 twin_corrected "$@"

correct 3 picks 340000 --task $picks --episodes 44 --expert-share 0.25 --time-limit 24
correct 3 wiping 350000 --task wipe_table --episodes 40 --expert-share 0.25 --time-limit 40
set -- "$@" "$(data 3 picks)" "$(data 3 wiping)"
train 3 twin_corrected "$@"

correct 4 picks 360000 --task $picks --episodes 40 --expert-share 0.15 --time-limit 26
correct 4 wiping 370000 --task wipe_table --episodes 40 --expert-share 0.2 --time-limit 50
set -- "$@" "$(data 4 picks)" "$(data 4 wiping)"
train 4 twin_steady "$@"

correct 5 carrots 380000 --task carrot_to_pan --episodes 80 --expert-share 0.05 --time-limit 30
collect 5 experts 390000 --task carrot_to_pan --episodes 60 --mix clean:0,noisy:1
correct 5 picks 400000 --task cube_to_plate pot_to_plate --episodes 30 --expert-share 0.05 --time-limit 30
correct 5 wiping 410000 --task wipe_table --episodes 24 --expert-share 0.05 --time-limit 60
set -- "$@" "$(data 5 carrots)" "$(data 5 experts)" "$(data 5 picks)" "$(data 5 wiping)"
train 5 twin_steady "$@"

correct 6 carrots 420000 --task carrot_to_pan --episodes 60 --expert-share 0.05 --time-limit 30
correct 6 picks 430000 --task cube_to_plate pot_to_plate --episodes 35 --expert-share 0.05 --time-limit 30
set -- "$@" "$(data 6 carrots)" "$(data 6 picks)"
train 6 twin_steady "$@"
say "done: $out/round6/checkpoint"
