#!/bin/bash
# A planned switch by hand, as a good DBA would script it: the peer of
# "make bench-changeover" and "make bench-upgrade". Fast stop, 1 MB WAL
# segments, nothing but psql, pg_controldata and signals, everything polled at
# 1 ms; the fence is that the old leader is shut down for certain and can only
# ever come up in recovery.
#
#   NEW_URL=postgres://… hand-made.sh BIN OLD NEW FILE
#
# BIN   PostgreSQL's bin directory      OLD, NEW  data directories of the leader and the follower
# FILE  what the writers read           NEW_URL   what they are to read after the switch
#
# With a PgBouncer in front: POOL (conninfo of its console), POOL_FILE (its settings)
# and POOL_NEXT (the text of them that leads to the follower). Its clients are
# held first and go on last.
#
# Runs as the servers' user. Prints one line a step: "step NAME MILLISECONDS".
# Afterwards OLD follows NEW, so that the next run can go the other way.
set -euo pipefail
shopt -s nullglob
export LC_ALL=C
bin=$1 old=$2 new=$3 file=$4
slot=hand_made
patience=10000000 # microseconds that any wait may take

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
exec {nothing}<> <(:) # a pipe that never has anything to read

now() { now=${EPOCHREALTIME/./}; }
nap() { read -rt 0.001 -u "$nothing" || :; } # 1 ms without starting a process
die() { echo "hand-made: $*" >&2; exit 1; }

steps=()
step() { # the step NAME is what happened since the last one ended
  now
  local d=$((now - since))
  steps+=("$(printf 'step %s %d.%03d' "$1" $((d / 1000)) $((d % 1000)))")
  since=$now
}

# psql takes 20 to 40 ms to start: the sessions are opened before and kept.
declare -A in out
session() { # NAME CONNINFO
  mkfifo "$work/$1.in" "$work/$1.out"
  "$bin/psql" -XAtq -v VERBOSITY=terse "$2" <"$work/$1.in" >"$work/$1.out" 2>&1 &
  exec {i}>"$work/$1.in" {o}<"$work/$1.out"
  in[$1]=$i out[$1]=$o
}
ask() { # NAME SQL, whose answer is one line
  printf '%s;\n' "$2" >&"${in[$1]}"
  read -r -t 60 answer <&"${out[$1]}" || die "no answer to: $2"
}
tell() { # NAME SQL, whose answer is nothing
  ask "$1" "$2; select 'ok'"
  [[ $answer == ok ]] || die "$2: $answer"
}
until_true() { # NAME SQL
  now
  local limit=$((now + patience))
  until ask "$1" "$2"; [[ $answer == t ]]; do
    now
    ((now < limit)) || die "in vain waited for: $2 (last answer: $answer)"
    nap
  done
}

conninfo() { # DATA: how the superuser gets in, from postmaster.pid
  local lines
  mapfile -t lines <"$1/postmaster.pid"
  pid=${lines[0]}
  answer="host=${lines[4]} port=${lines[3]} user=postgres"
}

anyone_in() { # DATA: does any process still live there?
  local cwd
  for cwd in /proc/[0-9]*/cwd; do
    [[ $cwd -ef $1 ]] && return 0
  done
  return 1
}

# Preparation: nobody notices it --------------------------------------------------
now; since=$now
conninfo "$new"; follower="$answer"
conninfo "$old"; leader="$answer"
session leader "$leader dbname=postgres"
session follower "$follower dbname=postgres"
session app "$NEW_URL"
ask app "select pg_is_in_recovery()"
[[ $answer == t ]] || die "the follower is not one: $answer"
tell leader "alter system reset primary_conninfo"
tell leader "alter system reset primary_slot_name"
tell follower "alter system set max_standby_streaming_delay = 0"
ask follower "select pg_reload_conf()"
ask follower "select slot_name from pg_create_physical_replication_slot('$slot', true)"
step prepare
tell leader checkpoint
tell follower checkpoint
tell leader checkpoint
step checkpoint

pool() { # COMMAND of the console, which answers nothing
  ask pool "$1; show version"
  [[ $answer == PgBouncer* ]] || die "$1: $answer"
}
if [[ -n ${POOL-} ]]; then
  session pool "$POOL"
fi

# The outage ----------------------------------------------------------------------
if [[ -n ${POOL-} ]]; then
  pool "pause app"
  step pause
fi
kill -INT "$pid"
# The file counts at the next start only, so it is written while the server stops.
: >"$old/standby.signal"
sync "$old/standby.signal" "$old"
now; limit=$((now + patience))
until control=$("$bin/pg_controldata" "$old")
  [[ $control =~ "cluster state:"\ +"shut down"$'\n' && $control != *WARNING* ]]
do
  now
  ((now < limit)) || die "the old leader does not stop"
  nap
done
[[ $control =~ "Latest checkpoint location:"\ +([0-9A-F]+/[0-9A-F]+) ]] || die "no checkpoint in: $control"
end=${BASH_REMATCH[1]}
step stop
until_true follower "select pg_last_wal_replay_lsn() > '$end'"
step replay
kill -QUIT "$pid" 2>/dev/null || :
now; limit=$((now + patience))
while anyone_in "$old"; do
  now
  ((now < limit)) || die "processes of the old leader are left"
  nap
done
step end
ask follower "select pg_promote(false)"
until_true follower "select not pg_is_in_recovery()"
step promote
ask app "begin read write; select pg_current_xact_id(); commit"
[[ $answer =~ ^[0-9]+$ ]] || die "the new leader does not write: $answer"
step probe
if [[ -n ${POOL-} ]]; then
  printf '%s' "$POOL_NEXT" >"$POOL_FILE"
  pool reload
  pool "resume app"
  step resume
fi
printf '%s\n' "$NEW_URL" >"$file"
step route

# Afterwards: the writers are at work again ---------------------------------------
"$bin/pg_ctl" --pgdata "$old" --log "$old.log" --silent --wait --timeout=120 start >/dev/null
exec {in[leader]}>&-
session fenced "$leader dbname=postgres"
ask fenced "select pg_is_in_recovery()"
[[ $answer == t ]] || die "the old leader came up writable"
step recover
tell fenced "alter system set primary_conninfo = '$follower'"
tell fenced "alter system set primary_slot_name = '$slot'"
ask fenced "select count(pg_drop_replication_slot(slot_name)) from pg_replication_slots"
ask fenced "select pg_reload_conf()"
tell follower "alter system reset max_standby_streaming_delay"
ask follower "select pg_reload_conf()"
ask follower "select pg_current_wal_lsn()"
until_true follower "select exists (select from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
  where s.slot_name = '$slot' and r.state = 'streaming' and r.replay_lsn >= '$answer')"
step follow
printf '%s\n' "${steps[@]}"
