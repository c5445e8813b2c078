/* The protocol of Sources/Keyturn/Snapshot, for spin: readers, one writer, forks, and the switch to fences.
 *
 * A reader's stores to its slot go through a store buffer that drains whenever it likes, so that its loads
 * may overtake them, as on x86. membarrier drains one reader's buffer after the other; a reader's fence,
 * and a compare-exchange, drain its own. The writer's stores are locked instructions or come before its own
 * barrier, and need no buffer. Names and I1 to I9 are those of the code.
 *
 * MODE 0: membarrier works. 1: it is refused from the start. 2: it is refused at any time, or never.
 *
 * Each of these leaves out one thing that the proof needs, and must make the check fail:
 *   NO_BARRIER NO_FENCE FREE_AT_ONCE EPOCH_FIRST NO_QUARANTINE NO_RECHECK MARKED_MIDWAY CLAIMED_AS_FENCED
 *   CHILD_KEEPS_SLOTS CHILD_CLEARS_OWN */
#ifndef MODE
#define MODE 2
#endif
#define READERS 2
#ifndef LIVES
#define LIVES 1 /* threads that run one after the other in a reader's place */
#endif
#ifndef ENTRIES
#define ENTRIES 2 /* of one thread, at most */
#endif
#ifndef LOADS
#define LOADS 2 /* in one entry, at most */
#endif
#ifndef SWAPS
#define SWAPS 2
#endif
#ifndef FORKS
#define FORKS 0
#endif

/* The first reader does as much as that, the second everything once: it is the same for both. */
#define ONE(most) (t == 0 -> most : 1)

#define OBJECTS (SWAPS + 1)
#define CONTROL READERS /* the writer's thread, as one that forks */
#define FREE 255
#define NONE 255
#define FENCED(moment) ((moment) & 1)
#define EPOCH(moment) ((moment) >> 1)
#define RETIRED_AT(object) ((object) + 2) /* the clock begins at epoch 1 and moves once for each */

byte clock = (MODE == 1 -> 3 : 2);
byte pointer = 0;                                 /* the Published: which object is current */
byte slot[READERS];                               /* of each record */
byte records = 0;                                 /* how many are in the list */
chan buffer[READERS + 1] = [3] of { byte, byte }; /* stores on their way: record, value */

byte own[READERS + 1] = NONE; /* the thread's record, as in thread-local storage */
byte lives[READERS];
bool done[READERS];
bool lost[READERS];           /* the thread is not in the child */

/* What a reader uses between load and leave. The program does not know it; the check does. */
byte first[READERS] = NONE;
byte second[READERS] = NONE;
#define USED(object) \
    (first[0] == (object) || first[1] == (object) || second[0] == (object) || second[1] == (object))

bool freed[OBJECTS];
bool published_fenced[OBJECTS];
bool quarantined[OBJECTS];
byte waiting = 0; /* the oldest object retired and not yet judged */
byte retired = 0; /* how many are retired: they are in order */
bool locked = false;
byte forks = 0;

/* ---- Store buffers -------------------------------------------------------------------------- */

inline drain(t)
{
    do
    :: buffer[t]?to, value -> slot[to] = value
    :: empty(buffer[t]) -> to = 0; value = 0; break
    od
}

/* One processor's buffer; a thread's last store may outlive it there. */
proctype Memory(byte t)
{
    byte to, value;
end:
    do
    :: atomic { buffer[t]?to, value -> slot[to] = value; to = 0; value = 0 }
    od
}

/* ---- fork() --------------------------------------------------------------------------------- */

/* From here on this is the child: only thread t is left, and nobody was inside the control lock. */
inline fork_by(t)
{
    atomic {
        !locked && forks < FORKS -> forks++;
        drain(t);
        other = 0;
        do
        :: other == READERS -> break
        :: other < READERS ->
            if
            :: other != t && !done[other] ->
                lost[other] = true;
                first[other] = NONE; second[other] = NONE
            :: else
            fi;
            if
            :: other != t -> do :: buffer[other]?to, value :: empty(buffer[other]) -> break od
            :: else
            fi;
            other++
        od;
        other = 0;
#ifndef CHILD_KEEPS_SLOTS
        do
        :: other == records -> break
        :: other < records ->
            if
#ifndef CHILD_CLEARS_OWN
            :: other == own[t]
#endif
            :: else -> slot[other] = FREE
            fi;
            other++
        od;
#endif
        other = 0; to = 0; value = 0
    }
}

/* ---- Readers -------------------------------------------------------------------------------- */

/* Published.load: I7. */
inline load(into)
{
    found = pointer;
    if
    :: atomic { (!FENCED(clock) || FENCED(entered)) -> into = found; assert(!freed[found]); found = 0 }
    :: atomic { (FENCED(clock) && !FENCED(entered)) ->
#ifdef NO_RECHECK
        into = found
#else
        drain(t);
        found = pointer;
        into = found
#endif
        ;
        assert(!freed[found]);
        found = 0
#ifdef MARKED_MIDWAY
        ;
        entered = entered | 1;
        slot[own[t]] = entered
#endif
       }
    fi
}

proctype Reader(byte t)
{
    byte outside, entered, found, entries, to, value, other;
again:
    {
        do
        :: lives[t] == ONE(LIVES) -> break
        :: lives[t] < ONE(LIVES) ->
            /* Readers.claim: I9 */
#ifdef CLAIMED_AS_FENCED
            outside = 1;
#else
            outside = FENCED(clock);
#endif
            atomic {
                lives[t]++;
                drain(t);
                other = 0;
                do
                :: other < records && slot[other] == FREE -> break
                :: other < records && slot[other] != FREE -> other++
                :: other == records ->
                    assert(records < READERS); /* else a record has leaked */
                    records++;
                    break
                od;
                slot[other] = outside;
                own[t] = other;
                other = 0; outside = 0; entries = 0
            }
            do
            :: atomic { entries < ONE(ENTRIES) -> entries++ };
                /* enter: I1 */
                entered = clock;
#ifdef NO_FENCE
                buffer[t]!own[t], entered;
#else
                if
                :: FENCED(entered) -> atomic { buffer[t]!own[t], entered; drain(t) }
                :: else -> buffer[t]!own[t], entered
                fi;
#endif
                load(first[t]);
                if
#if LOADS > 1
                :: load(second[t])
#endif
                :: fork_by(t) /* from the host's clock */
                :: skip
                fi;
                /* leave: I5 */
                atomic {
                    first[t] = NONE; second[t] = NONE; found = 0;
                    buffer[t]!own[t], FENCED(entered);
                    entered = 0
                }
            :: fork_by(t)
            :: break
            od;
            /* the thread's end */
            atomic {
                buffer[t]!own[t], FREE;
                own[t] = NONE; entries = 0
            }
        od;
        done[t] = true
    } unless {
        atomic {
            lost[t] -> lost[t] = false;
            own[t] = NONE;
            outside = 0; entered = 0; found = 0; entries = 0; to = 0; value = 0; other = 0;
            goto again /* a thread that the child starts */
        }
    }
}

/* ---- The writer ----------------------------------------------------------------------------- */

inline destroy(object)
{
    assert(!USED(object) && !freed[object]);
    freed[object] = true
}

/* I3. */
inline make_slots_visible()
{
    if
    :: FENCED(clock)
#if MODE != 1
    :: !FENCED(clock) ->
        other = 0;
        do
        :: other == READERS -> break
        :: other < READERS ->
            atomic {
#ifndef NO_BARRIER
                drain(other);
#endif
                other++
            }
        od;
        other = 0
#endif
#if MODE == 2
    :: !FENCED(clock) -> clock = clock | 1 /* I6 */
#endif
    fi
}

inline scan()
{
    oldest = 127; unfenced = false; other = records;
    do
    :: other == 0 -> break
    :: atomic { other > 0 ->
        other--;
        if
        :: EPOCH(slot[other]) != 0 && EPOCH(slot[other]) < oldest -> oldest = EPOCH(slot[other])
        :: else
        fi;
        if
        :: !FENCED(slot[other]) -> unfenced = true
        :: else
        fi
       }
    od
}

/* Epoch.reclaim: I4 and I8. What it destroys nobody else looks at, so it is one step. */
inline reclaim()
{
    make_slots_visible();
    scan();
    atomic {
        do
        :: !unfenced && other < OBJECTS ->
            if
            :: quarantined[other] -> quarantined[other] = false; destroy(other)
            :: else
            fi;
            other++
        :: else -> other = 0; break
        od;
        do
        :: waiting < retired && RETIRED_AT(waiting) <= oldest ->
            if
#ifndef NO_QUARANTINE
            :: unfenced && FENCED(clock) && !published_fenced[waiting] -> quarantined[waiting] = true
#endif
            :: else -> destroy(waiting)
            fi;
            waiting++
        :: else -> break
        od;
        /* A reader that is outside holds back nothing but what the quarantine has. */
        assert(oldest != 127 || waiting == retired);
        locked = false;
        oldest = 0; unfenced = false
    }
}

proctype Writer()
{
    byte oldest, other, to, value, next;
    bool unfenced;
    do
    :: next < SWAPS ->
        atomic { !locked -> locked = true; next++; published_fenced[next] = FENCED(clock) };
#ifdef EPOCH_FIRST
        clock = clock + 2;
        atomic { pointer = next; retired++ };
#else
        pointer = next;
        atomic { clock = clock + 2; retired++ }; /* I2 */
#endif
#ifdef FREE_AT_ONCE
        atomic { destroy(next - 1); waiting++ };
#endif
        reclaim()
    :: fork_by(CONTROL)
    :: next == SWAPS -> break
    od;
    done[0] && done[1] && empty(buffer[0]) && empty(buffer[1]);
    reclaim();
    /* Nothing is kept once the readers have gone: what was retired is destroyed, all records are free. */
    atomic {
        do
        :: other < SWAPS -> assert(freed[other]); other++
        :: other == SWAPS -> break
        od;
        assert(!freed[SWAPS]);
        other = 0;
        do
        :: other < records -> assert(slot[other] == FREE); other++
        :: other == records -> break
        od
    }
}

init
{
    atomic {
        run Memory(0); run Memory(1);
        run Reader(0); run Reader(1);
        run Writer()
    }
}
