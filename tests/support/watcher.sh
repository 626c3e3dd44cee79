# Runs a server for a test process, and outlives that. Commands come as lines of quoted words on
# standard input, which is a pipe that the test process alone holds: when the process ends, in
# whatever way, so does the pipe. Then the server is ended and the folder removed.
#
#   $1  the folder    $2  the signal that ends the server, or TREE to kill it and its descendants
folder=$1
ending=$2
server=
mark=LOCKKEEPER_TEST_FOLDER=$folder

# A handler, not '', which the server would inherit.
trap : HUP INT TERM PIPE

# Every process of the server's session that hasn't ended, and those that have left the session but
# still have the mark in their environment. Chromium has some of both, none of them with both.
descendants() {
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        pid=${line%% *}
        # The name stands in brackets and may hold anything.
        set -- ${line##*) }
        case $1 in Z | X) continue ;; esac
        [ "$4" = "$server" ] && echo "$pid"
    done
    grep -lszxF "$mark" /proc/[0-9]*/environ | tr -dc '0-9\n'
}

# A process may fork while it is being killed, so once is not enough.
end_tree() {
    while pids=$(descendants) && [ -n "$pids" ]; do
        for pid in $pids; do kill -s KILL "$pid"; done
    done
}

while IFS= read -r line; do
    eval "set -- $line"
    word=$1
    shift
    case $word in
    run)
        "$@" </dev/null >>"$folder/log" 2>&1
        echo "$?"
        ;;
    start)
        setsid env "$mark" "$@" </dev/null >>"$folder/log" 2>&1 &
        server=$!
        echo "$server"
        ;;
    reap)
        wait "$server"
        echo "$?"
        server=
        ;;
    esac
done

if [ -n "$server" ]; then
    if [ "$ending" = TREE ]; then
        end_tree
    else
        # CONT: a test may have stopped it.
        kill -s CONT "$server"
        kill -s "$ending" "$server"
    fi
    wait "$server"
fi

# A process that is dying may still write, and rm then finds a folder that isn't empty.
tries=100
until rm -rf -- "$folder" || [ "$tries" = 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
done
