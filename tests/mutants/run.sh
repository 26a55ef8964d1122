#!/bin/sh
# Breaks Egret on purpose, once for each line of list.tsv, and says which breaks no test finds.
#
#   tests/mutants/run.sh             all
#   tests/mutants/run.sh 12 40       those lines of the list, without its head
#
# Works on a copy in target/mutants (which must pass as it is), with the library's own tests and the quick ones over
# everything. A line of the result is: number, found / SURVIVED / stale (the text is not there exactly once), by which
# test, file, what goes wrong. Exit code 1 when one survives or is stale. Needs perl.
set -eu
cd "$(dirname "$0")/../.."
list=$PWD/tests/mutants/list.tsv
tree=$PWD/target/mutants/tree
export CARGO_TARGET_DIR=$PWD/target/mutants/build CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 RUST_BACKTRACE=0
export LIST="$list"

rm -rf "$tree"
mkdir -p "$tree"
git ls-files -z | xargs -0 tar cf - | tar xmf - -C "$tree"
cd "$tree"

# Changes the tree by line $1 of the list; fails when the text is not there exactly once. Prints the file.
change() {
    perl -e '
        open(my $list, "<", $ENV{LIST}) or die;
        my @lines = grep { !/^#/ } <$list>;
        chomp(my $line = $lines[$ARGV[0] - 1]);
        my ($file, $from, $to) = split(/\t/, $line, -1);
        for ($from, $to) { s/\\(.)/$1 eq "n" ? "\n" : $1 eq "t" ? "\t" : $1/ge }
        local $/; open(my $in, "<", $file) or die; my $text = <$in>; close($in);
        my $times = () = $text =~ /\Q$from\E/g;
        exit 3 if $times != 1;
        my $at = index($text, $from);
        substr($text, $at, length($from)) = $to;
        open(my $out, ">", $file) or die; print $out $text; close($out);
    ' "$1"
}

# Stages: the next is only built when the one before has found nothing. Prints the test that failed; fails when none did.
find_out() {
    # Of the library's own tests those of the rooms that are broken here: others take long.
    for tests in "--lib -- flow:: parse:: worker:: detect:: incident:: front:: run::" "--test flows --test floods --test tellings --test detector --test names" "--test fragments --test golden"; do
        if ! nice timeout 900 cargo test --quiet $tests >"$tree.log" 2>&1; then
            grep -q "^error\(\[\|: could not compile\)" "$tree.log" && ! grep -q "^failures:" "$tree.log" && echo compiler && return
            sed -n 's/^    \([a-z_0-9:]*\)$/\1/p' "$tree.log" | head -n 1
            return
        fi
    done
    return 1
}

if by=$(find_out); then
    echo "the tree fails as it is: ${by:-$tree.log}" >&2
    exit 2
fi
status=0
all=$(grep -vc '^#' "$list")
[ $# -gt 0 ] || set -- $(seq "$all")
for number in "$@"; do
    line=$(grep -v '^#' "$list" | sed -n "${number}p")
    file=$(printf '%s' "$line" | cut -f1)
    what=$(printf '%s' "$line" | cut -f4)
    cp "$file" "$tree.kept"
    if ! change "$number"; then
        verdict=stale by=-
        status=1
    elif by=$(find_out); then
        verdict=found
    else
        verdict=SURVIVED by=-
        status=1
    fi
    # A new time of change, so that cargo sees that the text is back.
    cp "$tree.kept" "$file"
    printf '%s\t%s\t%s\t%s\t%s\n' "$number" "$verdict" "${by:--}" "$file" "$what"
done
exit $status
