/* How long: one life's lease, and a leader's wait for it, with two clocks that drift apart. One worker, whose
 * process led until now, so that the leader record names its heartbeats; one successor.
 *
 * Invariant: when the leader has waited out a life's lease, that life claims nothing any more.
 *
 * The leader's clock goes forward with every tick; the worker's may miss one in every SLOW ticks. A
 * lease of LEASE ticks on the worker's clock takes at most WAIT on the leader's. Times are ages here: ticks
 * since then, by the clock of whom they matter to, up to where they make no difference any more.
 *
 * Every message may be late; heartbeats and their answers may be lost, and an unanswered heartbeat may land
 * after the next one was sent. Anybody who leads or led may write a tombstone; somebody may delete the key.
 * RESTORE: once, the bucket may come back from a backup, with an older heartbeat and under another identity;
 * its revisions begin anew from there, so that what was written for the bucket of before may fit. The leader
 * record may come to name the new identity.
 *
 * NARROW leaves out what else may go wrong: deleted keys, others' tombstones, heartbeats that get lost, drift.
 *
 * RULE and NO_… as in ownership.pml. Bounds: MAXNUM heartbeats, two of them under way at once. */
#ifndef MAXNUM
#define MAXNUM 4
#endif
#define LEASE 3
#define SLOW 4
/* RULE wait-after-tombstone: internal/core/group_view.cc */
#ifdef NO_DRIFT
#define WAIT 3
#else
#define WAIT 4
#endif
#define LIVE 1
#define EVICTED 2
#define DELETED 4

byte kind, num;                                             /* heartbeat/worker: its kind, its number */
byte rkind, rnum;                                           /* a tombstone's: what it replaced */
byte record;                                                /* election/leader: the heartbeat that it names */

bit alive = 1;                                              /* the life, as its process knows */
byte left = LEASE;                                          /* of its lease, by its own clock */
byte sent;                                                  /* number of the heartbeat sent last */
byte known;                                                 /* what the next one replaces */
byte age[MAXNUM + 1];                                       /* since the sending of each */
bit overtomb;                                               /* it goes on over a tombstone */
byte qnum[2], qat[2]; bit qtomb[2];                         /* two heartbeats under way: number, what they replace */
byte answer;                                                /* 0 none yet, 1 accepted, 2 conflict */
bit waiting, reading;

bit term;                                                   /* the successor leads */
byte recnum, recage;                                        /* the newest record that it got, and since when */
byte xkind, xnum, xage;                                     /* its view of the heartbeat, and since when */
#ifdef RESTORE
bit stream, xstream;                                        /* the bucket's identity; the one of its picture */
bit recordstream, recstream;                                /* the one that the record names; that of the newest got */
byte rev, before;                                           /* the heartbeat's revision, and the number before it */
byte arev;                                                  /* of an answer */
byte rrev, xrev;                                            /* what the tombstone replaced; that of its view */
#define AT rev                                              /* what a compare-and-set compares */
#define ANSWERED arev
#define XAT xrev
#define WRITTEN before = num; rev++
#define REPLACES rrev = rev
#define SEEN xrev = rev
#define NAMES_STREAM if :: recordstream = stream :: 1 fi
bit confirmed;                                              /* asked for after the tombstone, it was the same */
byte tombage;                                               /* since its sight of the tombstone */
#define UNCONFIRMED confirmed = 0; tombage = 0
#define CONFIRMED confirmed = 1; tombage = 0
#define OLD (kind == LIVE && xkind == LIVE && rev < xrev)   /* views only rise */
/* RULE confirm-tombstone: internal/core/group_view.cc. Else the wait counts from the tombstone. */
#ifdef NO_CONFIRM_TOMBSTONE
#define WAITED (xage == WAIT)
#else
#define WAITED (tombage == WAIT || (confirmed && xage == WAIT))
#endif
#else
#define AT num
#define ANSWERED sent
#define XAT xnum
#define WRITTEN skip
#define REPLACES skip
#define SEEN skip
#define NAMES_STREAM skip
#define UNCONFIRMED skip
#define CONFIRMED skip
#define OLD 0
#define WAITED (xage == WAIT)
#endif
#define CLAIMS (alive && left > 0)

byte missed;                                                /* ticks until the worker's clock may miss one */

/* RULE lease-from-send: internal/core/lease.cc. Of the very heartbeat that was accepted. */
#ifdef NO_LEASE_FROM_SEND
#define COUNTED(n) 0
#elif defined(COUNTED_FROM_NEWEST)
#define COUNTED(n) age[sent]
#else
#define COUNTED(n) age[n]
#endif
#define ACCEPT(n, at) if :: LEASE - COUNTED(n) > left -> left = LEASE - COUNTED(n) :: else fi; known = at; \
   printf("worker: heartbeat %d counts, its lease has %d ticks left\n", n, left)
#define ENDS alive = 0; left = 0; waiting = 0; reading = 0; answer = 0; printf("worker: its life is over\n")

proctype Worker() {
  byte i;
end:
  do
  :: d_step { alive && left > 0 && !waiting && !reading && sent < MAXNUM && (qnum[0] == 0 || qnum[1] == 0) ->
       sent++; age[sent] = 0; waiting = 1; answer = 0;
       if :: qnum[0] == 0 -> i = 0 :: else -> i = 1 fi; qnum[i] = sent; qat[i] = known; qtomb[i] = overtomb; i = 0;
       printf("worker: sends heartbeat %d, to replace %d\n", sent, known) }
  :: d_step { waiting && answer == 1 -> waiting = 0; answer = 0; ACCEPT(sent, ANSWERED) }
  :: d_step { waiting && answer == 2 -> waiting = 0; answer = 0; reading = 1 }
  :: d_step { waiting -> waiting = 0; answer = 0; printf("worker: gets no answer to heartbeat %d\n", sent) }
  :: d_step { reading ->
       reading = 0;
       if
       :: kind == LIVE && num > 0 -> printf("worker: conflict; it reads its heartbeat %d back\n", num); ACCEPT(num, AT)
/* RULE stop-at-tombstone: internal/core/lease.cc */
#ifdef NO_STOP_AT_TOMBSTONE
       :: kind == EVICTED -> printf("worker: conflict; it finds its tombstone, and goes on\n"); overtomb = 1; ACCEPT(sent, sent)
#endif
       :: else -> ENDS
       fi }
  :: d_step { alive && left == 0 -> ENDS }
#ifdef RECORD_NAMES_NEXT
  :: d_step { alive && record != sent + 1 -> record = sent + 1; NAMES_STREAM; printf("worker: renews `leader`, naming heartbeat %d\n", record) }
#else
  :: d_step { alive && record != sent -> record = sent; NAMES_STREAM; printf("worker: renews `leader`, naming heartbeat %d\n", record) }
#endif
  od
}

#ifdef RESTORE
#define HEARD arev = rev
#else
#define HEARD skip
#endif
#define LAND(i) d_step { qnum[i] > 0 -> \
   if :: (kind == LIVE && AT == qat[i] && !qtomb[i]) || (kind == EVICTED && qtomb[i]) -> kind = LIVE; WRITTEN; num = qnum[i]; \
        printf("the network: heartbeat %d lands\n", num); \
        if :: waiting && sent == qnum[i] -> answer = 1; HEARD :: else fi \
      :: else -> printf("the network: heartbeat %d conflicts\n", qnum[i]); if :: waiting && sent == qnum[i] -> answer = 2 :: else fi fi; \
   qnum[i] = 0; qat[i] = 0; qtomb[i] = 0 }
#define LOSE(i) d_step { qnum[i] > 0 -> printf("the network: heartbeat %d is lost\n", qnum[i]); qnum[i] = 0; qat[i] = 0; qtomb[i] = 0 }

proctype World() {
end:
  do
  :: LAND(0) :: LAND(1)
#ifndef NARROW
  :: LOSE(0) :: LOSE(1)
  :: d_step { kind == LIVE -> kind = DELETED; WRITTEN; num = 0; printf("somebody: deletes the heartbeat\n") }
#endif
#ifdef RESTORE
  :: d_step { kind == LIVE && rev > 1 && !stream -> stream = 1; rev--; num = before; before = 0;
       printf("a backup brings heartbeat %d back\n", num) }
#endif
#ifndef NARROW
  :: d_step { kind == LIVE -> rkind = kind; rnum = num; REPLACES; kind = EVICTED; printf("the predecessor: a tombstone replaces heartbeat %d\n", num) }
#endif
  od
}

#ifdef COUNTED_FROM_ANY_SIGHT
#define RECEIVED 1
#else
#ifdef RESTORE
#define RECEIVED (xkind == rkind && xrev == rrev)
#else
#define RECEIVED (xkind == rkind && xnum == rnum)           /* exactly the revision that was replaced */
#endif
#endif
#ifdef RECORD_COUNTS_FOR_ANY
#define NAMED recnum > 0
#elif defined(RECORD_COUNTS_FOR_OLDER)
#define NAMED (num <= recnum)
#else
/* Of that very one: in a bucket from a backup an older one may land after those accepted since. */
#define NAMED (num == recnum)
#endif
#ifdef FORGETS_WHAT_IT_SAW
#define COUNT_FROM_RECORD xage = recage
#else
#define COUNT_FROM_RECORD xage = (xkind == LIVE && xage < recage -> xage : recage)
#endif

#ifdef RESTORE
#define GOT_STREAM recstream = recordstream
#else
#define GOT_STREAM skip
#endif
proctype Leader() {
end:
  do
  :: d_step { !term && record != recnum -> recnum = record; recage = 0; GOT_STREAM; printf("successor: gets `leader`, which names heartbeat %d\n", recnum) }
#ifdef RESTORE
  /* another bucket than the record names: the longest lease is waited out from here */
  :: d_step { !term -> term = 1; xstream = stream; recnum = (recstream != stream -> 0 : recnum); printf("successor: takes over\n") }
  :: d_step { term && xkind == EVICTED && !confirmed ->
       if
       :: stream == xstream -> confirmed = 1; printf("successor: the bucket is the same still\n")
       :: else -> xstream = stream; xkind = 0; xnum = 0; xrev = 0; xage = 0; recnum = 0; UNCONFIRMED;
          printf("successor: the bucket is another one; it begins a new term\n")
       fi }
#else
  :: d_step { !term -> term = 1; printf("successor: takes over\n") }
#endif
  :: d_step { term && (xkind != kind || XAT != AT) && !OLD ->
       if
       :: kind == EVICTED && xkind != 0 && RECEIVED -> UNCONFIRMED /* the wait counts from that sight */
       :: kind == LIVE && NAMED && num > 0 -> COUNT_FROM_RECORD
       :: else -> xage = 0; CONFIRMED
       fi;
       xkind = kind; xnum = num; SEEN;
       printf("successor: sees the key: kind %d, heartbeat %d; counts from %d ticks ago\n", kind, num, xage) }
  :: d_step { term && (xkind == LIVE || xkind == DELETED) && xkind == kind && XAT == AT ->
       rkind = kind; rnum = num; REPLACES; kind = EVICTED; xkind = EVICTED; UNCONFIRMED; printf("successor: a tombstone replaces heartbeat %d\n", num) }
#ifdef NO_WAIT_AFTER_TOMBSTONE
  :: d_step { xkind == EVICTED -> printf("successor: the life is over\n"); assert(!CLAIMS) }
#else
  :: d_step { xkind == EVICTED && WAITED && CLAIMS -> printf("successor: the lease is over, all is free\n"); assert(!CLAIMS) }
#endif
  od
}

#define OLDER(a, cap) a = (a < cap -> a + 1 : cap)
proctype Time() {
  byte n;
end:
  do
  :: d_step { CLAIMS ->                                     /* afterwards time tells nothing new */
       OLDER(xage, WAIT); OLDER(recage, WAIT);
#ifdef RESTORE
       OLDER(tombage, WAIT);
#endif
       if
#ifndef NARROW
       :: missed == 0 -> missed = SLOW - 1; printf("a tick, which the worker's clock misses\n")
#endif
       :: 1 -> if :: missed > 0 -> missed-- :: else fi;
          left--; n = 1; do :: n <= MAXNUM -> OLDER(age[n], LEASE); n++ :: else -> break od; n = 0;
          printf("a tick\n")
       fi }
  od
}

init { atomic { kind = LIVE; run Worker(); run World(); run Leader(); run Time() } }
