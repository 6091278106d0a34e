"""What runs on the other side: how a command is started there, watched, and ended with everything that it started.

Nothing has to be installed over there but a POSIX shell, awk, grep and ls; without a Linux ``/proc`` the end of a
command cannot be verified, and is told as that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from candy_kit_command import MARK

LAUNCHER = r"""
w=$1 s= l=
shift
ulimit -w "$w" 2>/dev/null || ulimit -x "$w" 2>/dev/null
w=$(ulimit -w 2>/dev/null || ulimit -x 2>/dev/null)
[ -r /proc/$$/stat ] && read -r s </proc/$$/stat
[ -n "$s" ] && l=$(ls -ln /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 2>/dev/null)
printf '%s\n%s\n%s\n%s\n%s.\n' "$CANDY_RUN" "$s" "$w" "$l" "$CANDY_RUN"
read -r s || exit 0
unset s l w
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH
exec "$@"
"""
"""Tells who the command is: its line of ``/proc``, its limit of file locks, its pipes. Becomes it at a line of stdin.

Without that line it ends: so nothing begins of which nobody here knows, however late a busy host comes to start it.

That limit is the second mark. The kernel has not looked at it since 2.4.25, but every child inherits it, whatever it
drops, becomes or closes, and everybody may read it in ``/proc``: ``env -i``, ``setsid``, ``sudo`` and a double fork
leave it as it is.
"""

# No here-document in it: many shells write those into files, and a disk may be full.
WALKER = r"""
mode=$1 mark=$2 locks=$3 since=$4 pipes=$5 grace=$6
shift 6
seen="$*"
LC_ALL=C
export LC_ALL
for tool in awk grep ls; do
    command -v "$tool" >/dev/null 2>&1 || { echo "blind there is no $tool"; exit 3; }
done
[ -r /proc/self/stat ] && [ -r /proc/self/environ ] || { echo 'blind there is no /proc'; exit 3; }
# What is found here would be found elsewhere, too. (In environments busybox finds only what stands first.)
grep -q -e '^Max file locks  *[0-9u]' /proc/$$/limits || { echo 'blind its grep does not do what is asked'; exit 3; }
set -f  # what others are called is no pattern

# Whatever started when the run did, or later: "c PID START PARENT SESSION STATE COMMAND".
young() {
    set +f
    awk -v since="$since" '
        BEGIN {
            for (i = 1; i < ARGC; i++) {
                pid = substr(ARGV[i], 7)
                if (pid == "self" || pid == 1) continue
                file = ARGV[i] "/stat"; text = ""
                while ((getline line < file) > 0) text = text " " line
                close(file)
                if (text == "") continue
                name = text; sub(/^[^(]*\(/, "", name); sub(/[^A-Za-z0-9_.-].*/, "", name)
                sub(/.*\) /, "", text)
                if (split(text, f, " ") < 20 || f[20] + 0 < since + 0) continue
                print "c", pid, f[20], f[2], f[4], f[1], (name == "" ? "?" : name)
            }
        }' /proc/[0-9]*
}

# Of those the ones that are the run's, as "PID START SESSION-THAT-IT-LEADS STATE".
members() {
    all=$(young)
    environs= limits= folders=
    set -- $all
    while [ $# -ge 7 ]; do
        [ "$6" = Z ] || environs="$environs /proc/$2/environ" limits="$limits /proc/$2/limits" \
            folders="$folders /proc/$2/fd"
        shift 7
    done
    # The marks that may be dropped are looked for by the first look and the last ones alone.
    [ -n "$deep" ] || environs= folders=
    {
        printf '%s\n' "$all"
        for entry in $seen; do echo "s $entry"; done
        [ -z "$limits" ] || {
            [ -z "$environs" ] || grep -l -s -F -e "CANDY_RUN=$mark" $environs
            grep -l -s -e "^Max file locks  *$locks  *$locks " $limits
        } | awk -F/ '{ print "m", $3 }'
        [ -z "$folders" ] || [ -z "$pipes" ] || ls -l /proc/$$/fd $folders 2>/dev/null | awk -v pipes="$pipes" '
            BEGIN { n = split(pipes, p, ","); for (i = 1; i <= n; i++) ours[p[i]] = 1 }
            /^\/proc\/[0-9]+\/fd:$/ { split($0, part, "/"); pid = part[3] }
            $NF in ours { print "h", pid }'
    } | awk -v self=$$ '
        $1 == "c" { start[$2] = $3; parent[$2] = $4; session[$2] = $5; state[$2] = $6; name[$2] = $7 }
        $1 == "s" { split($2, part, ":"); known[part[1]] = part[2]; if (part[3]) led[part[3]] = part[2] }
        $1 == "m" { marked[$2] = 1 }
        # A server that forks has its pipes in hand for a moment.
        $1 == "h" && name[$2] !~ /^sshd/ { marked[$2] = 1 }
        END {
            for (pid in start) {
                if (pid in marked || (pid in known && known[pid] == start[pid])) ours[pid] = 1
                s = session[pid]
                # A session belongs to the one that led it, unless its number is somebody else by now.
                if (s in led && !(s in start && start[s] != led[s])) ours[pid] = 1
            }
            do {
                more = 0
                for (pid in ours) if (session[pid] == pid) leads[pid] = 1
                for (pid in start) if (!(pid in ours) && (parent[pid] in ours || session[pid] in leads)) {
                    ours[pid] = 1; more = 1
                }
            } while (more)
            for (pid in ours) if (pid != self) print pid, start[pid], (session[pid] == pid ? pid : 0), state[pid]
            print (self in start) ? "seen all" : "blind"
        }'
}

deep=1
nap() { sleep "$1" 2>/dev/null || sleep 1; }

look() {
    now= fresh=
    # On a host that is short of something a single look may fail; nobody is left alive for that.
    for again in 1 2 3; do
        set -- $(members)
        case "$*" in *'seen all') break ;; esac
        nap 0.05
    done
    while [ $# -ge 4 ]; do
        entry=$1:$2:$3
        case " $seen " in *" $entry "*) ;; *) seen="$seen $entry" fresh="$fresh $entry" ;; esac
        case $4 in Z | X | x) ;; *) now="$now $1" ;; esac
        shift 4
    done
    [ "$*" = 'seen all' ] || { echo 'blind its awk does not do what is asked'; exit 3; }
}

if [ "$mode" = watch ]; then
    pauses='0.05 0.1 0.2 0.4 0.8'
    sleep 0.01 2>/dev/null || pauses=1
    {
        trap 'kill "$napping" 2>/dev/null; exit 0' TERM
        for pause in $pauses 2; do
            while :; do
                look
                echo "seen$fresh" || exit 0  # nobody reads any more
                sleep $pause &
                napping=$!
                wait "$napping"
                [ "$pause" = 2 ] || break
            done
        done
    } &
    looking=$!
    read -r _
    kill "$looking" 2>/dev/null
    exit 0
fi

# Hundredths of a second; a host that is slow says what is left before nobody listens any more.
clock() { at=0; [ -r /proc/uptime ] && read -r at _ </proc/uptime; at=${at%.*}${at#*.}; }
clock
grace_ends=$((at + 80)) ends=$((at + 220))

look
found=$now
[ -z "$now" ] || kill -TERM $now 2>/dev/null
while [ "$grace" -gt 0 ]; do
    nap 0.05
    deep=
    look
    clock
    [ -n "$now" ] && [ "$at" -lt "$grace_ends" ] || break
    grace=$((grace - 1))
done
rounds=24 clean=0
while [ "$rounds" -gt 0 ]; do
    look
    clock
    if [ -z "$now" ]; then
        clean=$((clean + 1)) deep=1
        [ "$clean" -lt 2 ] || break
    else
        [ "$rounds" -gt 21 ] || [ "$at" -lt "$ends" ] || break
        clean=0 deep= found="$found $now"
        kill -KILL $now 2>/dev/null
        nap 0.03
    fi
    rounds=$((rounds - 1))
done
echo "ended $(for pid in $found; do echo "$pid"; done | sort -u | grep -c .)"
left=
for pid in $now; do
    name=
    [ -r "/proc/$pid/stat" ] && read -r _ name _ <"/proc/$pid/stat"
    left="$left $pid$name"
done
echo "left$left"
[ -r /proc/1/stat ] || echo "partly this user sees only processes of its own"
echo done
"""
"""``sh -c WALKER walker watch|stop MARK LOCKS SINCE PIPES GRACE SEEN…``.

``MARK`` is in the environment of the run's processes, ``LOCKS`` is their limit of file locks.
``SINCE``: the time at which the run started, in the kernel's ticks; nothing older is ever touched. ``PIPES``: the pipes
that the command was given, joined by commas: who holds one is the run's. ``GRACE``: looks between TERM and KILL, at 20
a second. ``SEEN``: ``PID:START:SESSION`` of processes that are known to be the run's; a session is there where the
process leads one.

Members of a run are those that carry one of its marks, those that hold its pipes, those that were seen before,
everybody in a session that one of them leads or led, and the descendants of all these.

``watch`` prints ``seen PID:START:SESSION…``, what is new at each look, until its input ends. ``stop`` sends TERM, then
KILL again and again until none is left, and prints ``ended COUNT``, ``left PID(NAME)…``, ``partly WHY`` and, as its
last word, ``done``. ``blind WHY``: this host has not what it takes.
"""

MAX_LINE = 120_000
"""Bytes of a command line: a server hands it to the user's shell as one argument, and Linux takes 128 KiB in that."""
MAX_SEEN = 2000
GRACE_LOOKS = 5


_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


def command_line(words: Sequence[str]) -> str:
    """``words`` as one line for the shell that a user has over there.

    Unlike POSIX shells, fish reads backslashes between single quotes: one before a quote would not let it end there,
    and what was an argument would be commands. So none stands there; between double quotes all of them agree. Quoted is
    whatever might mean something to one of them: ``=ls`` is a path to zsh, ``%self`` a number to fish.
    """
    return " ".join(word if _PLAIN.fullmatch(word) else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'").replace("\\", "'\"\\\\\"'") + "'"


def launch_line(argv: Sequence[str], mark: str, *, plain_words: bool) -> str:
    """The command line that starts ``argv``. ``plain_words``: it speaks the language that patterns are written for."""
    environment = [f"{MARK}={mark}", *(["LC_ALL=C"] if plain_words else [])]
    return command_line(["exec", "env", *environment, "sh", "-c", LAUNCHER, "candy", locks_of(mark), *argv])


def locks_of(mark: str) -> str:
    """The limit of file locks that belongs to a mark of hexadecimal digits: beyond what anybody else would set."""
    return str(2**50 + int(mark[:12] or "0", 16))


def watch_line(mark: str, since: int, pipes: Iterable[str], seen: Sequence[str]) -> str:
    """The command line that tells what the run starts, until its channel is closed."""
    return _walker("watch", mark, since, pipes, seen)


def stop_line(mark: str, since: int, pipes: Iterable[str], seen: Sequence[str]) -> str:
    """The command line that ends everything of the run."""
    return _walker("stop", mark, since, pipes, seen)


def _walker(mode: str, mark: str, since: int, pipes: Iterable[str], seen: Sequence[str]) -> str:
    arguments = [mode, mark, locks_of(mark), str(since), ",".join(pipes), str(GRACE_LOOKS), *seen[:MAX_SEEN]]
    return command_line(["exec", "sh", "-c", WALKER, "walker", *arguments])
