/* How readers and writers meet in a set of Sources/Keyturn/Snapshot/TokenCache.swift, for spin: T1 to T4, and forks.
 *
 * A reader's store of its name goes through a store buffer, unless the store drains it, as those in the one order do. What a
 * writer loads behind the taking out of a tag it may have loaded before, unless a fence stands between.
 *
 * Each of these leaves out one thing that the proof needs, and must make the check fail:
 *   NAME_UNORDERED HEAD_EARLY WRITES_ANYWAY TAG_FIRST TWO_WRITERS STAINED_FIRST NAMES_STAY MARK_STAYS */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#define CELLS 2
#ifndef ENTRIES
#define ENTRIES 2 /* of one reader, at most */
#endif
#ifndef ADDS
#define ADDS 2 /* by one writer, at most */
#endif
#ifndef FORKS
#define FORKS 0
#endif
#define NONE 255
#define WRITER(w) (READERS + (w)) /* in the list of threads */

byte tag[CELLS];     /* what stands in the cell; 0: nothing is to be found there */
byte content[CELLS]; /* what does stand there */
bool stained[CELLS];
byte writer = 0; /* the process of who writes; 0: nobody */

byte process = 1;
bool lost[READERS + WRITERS]; /* the thread is not in the child */
bool done[READERS + WRITERS];

byte records = 0;         /* how many are in the list */
bool reading[READERS];    /* of each record: the name of the set */
byte own[READERS] = NONE; /* the thread's record */
chan buffer[READERS] = [2] of { bool };

inline drain(t)
{
    do
    :: buffer[t]?name -> reading[own[t]] = name
    :: empty(buffer[t]) -> name = false; break
    od
}

/* One processor's buffer. */
proctype Memory(byte t)
{
    bool name;
end:
    do
    :: atomic { buffer[t]?name -> reading[own[t]] = name; name = false }
    od
}

/* ---- Readers -------------------------------------------------------------------------------- */

proctype Reader(byte t)
{
    byte entries, cell, found;
    bool name;
again:
    {
        do
        :: entries < ENTRIES ->
            atomic {
                entries++;
                if
                :: own[t] == NONE -> own[t] = records; records++
                :: else
                fi
            };
            /* T1 */
#ifdef NAME_UNORDERED
            buffer[t]!true;
#else
            atomic { buffer[t]!true; drain(t) };
#endif
            if
            :: cell = 0
            :: cell = 1
            fi;
            found = tag[cell];
            if
            :: found != 0 ->
                assert(content[cell] == found); /* compared, */
                assert(content[cell] == found)  /* and copied */
            :: else
            fi;
            atomic { found = 0; cell = 0; buffer[t]!false }
        :: break
        od;
        done[t] = true
    } unless {
        atomic {
            lost[t] -> lost[t] = false;
            found = 0; cell = 0; name = false;
            goto again /* a thread that the child starts, with the record of the one before */
        }
    }
}

/* ---- Writers: whoever has verified a token -------------------------------------------------- */

proctype Writer(byte w)
{
    byte adds, cell, seen, head, other;
    bool inUse;
again:
    {
        do
        :: adds < ADDS ->
            /* T4 */
            atomic { adds++; seen = writer; writer = process };
            if
#ifndef TWO_WRITERS
            :: seen == process -> skip
#endif
            :: else ->
                if
                :: cell = 0
                :: cell = 1
                fi;
#ifdef HEAD_EARLY
                head = records;
#endif
                /* T2 */
                if
                :: tag[cell] != 0 ->
#ifdef STAINED_FIRST
                    stained[cell] = true;
                    tag[cell] = 0
#else
                    tag[cell] = 0;
                    stained[cell] = true
#endif
                :: else
                fi;
#ifndef HEAD_EARLY
                head = records;
#endif
                other = 0;
                do
                :: other < head -> atomic { inUse = inUse || reading[other]; other++ }
                :: else -> break
                od;
#ifdef WRITES_ANYWAY
                inUse = false;
#endif
                if
                :: !inUse ->
                    /* what was taken out is wiped */
                    other = 0;
                    do
                    :: other < CELLS && stained[other] -> content[other] = 0; other++
                    :: other < CELLS && !stained[other] -> other++
                    :: else -> break
                    od;
                    atomic { stained[0] = false; stained[1] = false; other = 1 + w * ADDS + adds };
                    /* T3 */
#ifdef TAG_FIRST
                    tag[cell] = other;
                    content[cell] = other
#else
                    content[cell] = other;
                    tag[cell] = other
#endif
                :: else
                fi;
                atomic { writer = 0; inUse = false; other = 0; head = 0; cell = 0 }
            fi;
            seen = 0
        :: break
        od;
        done[WRITER(w)] = true
    } unless {
        atomic {
            lost[WRITER(w)] -> lost[WRITER(w)] = false;
            inUse = false; other = 0; head = 0; cell = 0; seen = 0;
            goto again
        }
    }
}

/* ---- fork(), by a thread that does neither -------------------------------------------------- */

proctype Forker()
{
    byte forks, t;
    bool name;
    do
    :: forks < FORKS ->
        atomic {
            forks++;
#ifndef MARK_STAYS
            process++;
#endif
            t = 0;
            do
            :: t < READERS + WRITERS -> lost[t] = !done[t]; t++
            :: else -> break
            od;
            t = 0;
            do
            :: t < READERS ->
                do
                :: buffer[t]?name
                :: empty(buffer[t]) -> break
                od;
#ifndef NAMES_STAY
                reading[t] = false;
#endif
                t++
            :: else -> break
            od;
            t = 0; name = false
        }
    :: break
    od;
    /* Who comes later can write. */
    do
    :: t < READERS + WRITERS -> done[t] && (t >= READERS || empty(buffer[t])); t++
    :: else -> t = 0; break
    od;
    assert(writer != process);
    do
    :: t < READERS -> assert(!reading[t]); t++
    :: else -> break
    od
}

init
{
    byte t;
    atomic {
        do
        :: t < READERS -> run Memory(t); run Reader(t); t++
        :: else -> t = 0; break
        od;
        do
        :: t < WRITERS -> run Writer(t); t++
        :: else -> break
        od;
        run Forker()
    }
}
