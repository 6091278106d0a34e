"""The shell scripts that run on the remote host: the launcher of a command, and the scanner of its processes.

The host needs a POSIX shell, awk, grep and ls, and nothing has to be installed for the agent. Without a Linux ``/proc``
it cannot be verified that the processes have ended, and this is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from candy_kit_command import RUN_MARKER

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
"""Reports the process (its ``/proc/PID/stat``, its limit of file locks, its pipes), waits for a line on stdin, and
executes the command.

Without that line it exits. So no command starts unless the agent knows of it, however late a busy host runs the
launcher.

The limit of file locks is the second marker. The kernel has not used it since 2.4.25, but every child inherits it and
every user may read it in ``/proc``. ``env -i``, ``setsid``, ``sudo`` and a double fork do not change it.
"""

# Without here-documents: many shells write them to files, and the disk may be full.
SCANNER = r"""
mode=$1 marker=$2 locks=$3 since=$4 pipes=$5 grace=$6
shift 6
seen="$*"
LC_ALL=C
export LC_ALL
for tool in awk grep ls; do
    command -v "$tool" >/dev/null 2>&1 || { echo "failed there is no $tool"; exit 3; }
done
[ -r /proc/self/stat ] && [ -r /proc/self/environ ] || { echo 'failed there is no /proc'; exit 3; }
# A grep that finds this works for the other files too. (In environments busybox finds only the first variable.)
grep -q -e '^Max file locks  *[0-9u]' /proc/$$/limits || { echo 'failed its grep does not work as expected'; exit 3; }
set -f  # names of processes are not patterns

# All processes that started when the run did, or later, as "c PID START PARENT SESSION STATE COMMAND".
candidates() {
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

# Those that belong to the run, as "PID START SESSION-THAT-IT-LEADS STATE".
members() {
    all=$(candidates)
    environs= limits= folders=
    set -- $all
    while [ $# -ge 7 ]; do
        [ "$6" = Z ] || environs="$environs /proc/$2/environ" limits="$limits /proc/$2/limits" \
            folders="$folders /proc/$2/fd"
        shift 7
    done
    # Only the first scan and the last ones search for what a process can drop: the environment and the pipes.
    [ -n "$deep" ] || environs= folders=
    {
        printf '%s\n' "$all"
        for entry in $seen; do echo "s $entry"; done
        [ -z "$limits" ] || {
            [ -z "$environs" ] || grep -l -s -F -e "CANDY_RUN=$marker" $environs
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
        # sshd itself holds the pipes for a moment, when it forks.
        $1 == "h" && name[$2] !~ /^sshd/ { marked[$2] = 1 }
        END {
            for (pid in start) {
                if (pid in marked || (pid in known && known[pid] == start[pid])) ours[pid] = 1
                s = session[pid]
                # A session belongs to the process that led it, unless another process has that pid by now.
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
            print (self in start) ? "seen all" : "incomplete"
        }'
}

deep=1
pause() { sleep "$1" 2>/dev/null || sleep 1; }

scan() {
    now= fresh=
    # On a host that is short of memory a scan may fail. That must not leave a process alive.
    for again in 1 2 3; do
        set -- $(members)
        case "$*" in *'seen all') break ;; esac
        pause 0.05
    done
    while [ $# -ge 4 ]; do
        entry=$1:$2:$3
        case " $seen " in *" $entry "*) ;; *) seen="$seen $entry" fresh="$fresh $entry" ;; esac
        case $4 in Z | X | x) ;; *) now="$now $1" ;; esac
        shift 4
    done
    [ "$*" = 'seen all' ] || { echo 'failed its awk does not work as expected'; exit 3; }
}

if [ "$mode" = watch ]; then
    pauses='0.05 0.1 0.2 0.4 0.8'
    sleep 0.01 2>/dev/null || pauses=1
    {
        trap 'kill "$sleeping" 2>/dev/null; exit 0' TERM
        for seconds in $pauses 2; do
            while :; do
                scan
                echo "seen$fresh" || exit 0  # the agent has closed the channel
                sleep $seconds &
                sleeping=$!
                wait "$sleeping"
                [ "$seconds" = 2 ] || break
            done
        done
    } &
    scanning=$!
    read -r _
    kill "$scanning" 2>/dev/null
    exit 0
fi

# In hundredths of a second. A slow host must report what is left before the agent stops listening.
clock() { at=0; [ -r /proc/uptime ] && read -r at _ </proc/uptime; at=${at%.*}${at#*.}; }
clock
grace_ends=$((at + 80)) ends=$((at + 220))

scan
found=$now
[ -z "$now" ] || kill -TERM $now 2>/dev/null
while [ "$grace" -gt 0 ]; do
    pause 0.05
    deep=
    scan
    clock
    [ -n "$now" ] && [ "$at" -lt "$grace_ends" ] || break
    grace=$((grace - 1))
done
rounds=24 clean=0
while [ "$rounds" -gt 0 ]; do
    scan
    clock
    if [ -z "$now" ]; then
        clean=$((clean + 1)) deep=1
        [ "$clean" -lt 2 ] || break
    else
        [ "$rounds" -gt 21 ] || [ "$at" -lt "$ends" ] || break
        clean=0 deep= found="$found $now"
        kill -KILL $now 2>/dev/null
        pause 0.03
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
[ -r /proc/1/stat ] || echo "partial this user sees only its own processes"
echo done
"""
"""``sh -c SCANNER scanner watch|stop MARKER LOCKS SINCE PIPES GRACE SEEN…``.

- ``MARKER``: the value of the run marker in the environment of the run's processes.
- ``LOCKS``: their limit of file locks.
- ``SINCE``: when the run started, in the kernel's ticks; no older process is ever touched.
- ``PIPES``: the pipes that the command was given, joined by commas; a process that holds one belongs to the run.
- ``GRACE``: the number of scans between TERM and KILL, at most 20 a second.
- ``SEEN``: ``PID:START:SESSION`` of processes known to belong to the run; ``SESSION`` is 0 for one that leads none.

A process belongs to a run if it has one of the markers, holds one of the pipes, was seen before, is in a session that
one of these leads or led, or is a descendant of any of these.

``watch`` prints ``seen PID:START:SESSION…`` with the new processes of each scan, until its input ends. ``stop`` sends
TERM, then KILL repeatedly until no process is left. It prints ``ended COUNT``, ``left PID(NAME)…``, ``partial WHY`` if
it may have missed processes, and last ``done``. Both print ``failed WHY`` if this host lacks what they need.
"""

MAX_LINE = 120_000
"""Bytes of a command line: sshd passes it to the user's shell as one argument, for which Linux allows 128 KiB."""
MAX_SEEN = 2000
GRACE_SCANS = 5

_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


def command_line(words: Sequence[str]) -> str:
    """``words`` as one line for the user's login shell on the remote host.

    Unlike POSIX shells, fish interprets backslashes within single quotes: one before the closing quote would escape it,
    and the rest of the argument would become commands. So backslashes are put in double quotes, where all shells agree.
    Every word that might have a meaning in some shell is quoted: ``=ls`` is a path in zsh, ``%self`` a pid in fish.
    """
    return " ".join(word if _PLAIN.fullmatch(word) else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'").replace("\\", "'\"\\\\\"'") + "'"


def launch_line(argv: Sequence[str], marker: str, *, plain_words: bool) -> str:
    """The command line that starts ``argv``. ``plain_words``: its messages are in English, as patterns expect them."""
    environment = [f"{RUN_MARKER}={marker}", *(["LC_ALL=C"] if plain_words else [])]
    return command_line(["exec", "env", *environment, "sh", "-c", LAUNCHER, "candy", locks_of(marker), *argv])


def locks_of(marker: str) -> str:
    """The limit of file locks for a marker of hexadecimal digits: higher than anyone would set for another purpose."""
    return str(2**50 + int(marker[:12] or "0", 16))


def watch_line(marker: str, since: int, pipes: Iterable[str], seen: Sequence[str]) -> str:
    """The command line that reports the processes of a run until its channel is closed."""
    return _scanner_line("watch", marker, since, pipes, seen)


def stop_line(marker: str, since: int, pipes: Iterable[str], seen: Sequence[str]) -> str:
    """The command line that terminates all processes of a run."""
    return _scanner_line("stop", marker, since, pipes, seen)


def _scanner_line(mode: str, marker: str, since: int, pipes: Iterable[str], seen: Sequence[str]) -> str:
    arguments = [mode, marker, locks_of(marker), str(since), ",".join(pipes), str(GRACE_SCANS), *seen[:MAX_SEEN]]
    return command_line(["exec", "sh", "-c", SCANNER, "scanner", *arguments])
