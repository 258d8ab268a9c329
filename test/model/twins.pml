/* Who may take an id: three processes that want one and the same worker id. The first is of one identity,
 * the second of another; the third is the second's restart: it starts only when that one is gone, and can prove it.
 * Each has one life.
 *
 * Invariant: when a life's first heartbeat is accepted, no other life claims anything: from then on
 * leaders take the former one for over.
 *
 * Time as in lease.pml: the clock of process 0 may miss one in every SLOW ticks, so that LEASE ticks of its own take at
 * most WAIT of the others'. Watches show claim and heartbeat late; every request may be late, and so may its answer.
 *
 *   WIPE      somebody deletes the claim and the heartbeat, or either
 * RULE and NO_… as in ownership.pml. Bounds: MAXCLAIM and MAXBEAT, revisions of the two keys. */
#ifndef MAXCLAIM
#define MAXCLAIM 3
#endif
#ifndef MAXBEAT
#define MAXBEAT 4
#endif
#define LEASE 2
#define SLOW 3
#ifdef NO_DRIFT
#define WAIT 2
#else
#define WAIT 3
#endif
#define N 3
#define LIVE 1
#define LEFT 3

byte crev, cby;                                             /* stableid/worker: revision, whose (0: absent) */
byte hrev, hby, hkind;                                      /* heartbeat/worker: revision, whose, kind */
byte step[N];                                               /* what each process is at: */
#define OFF 0
#define WATCHING 1
#define CLAIMED 2                                           /* its first heartbeat is to be sent */
#define BEATING 3                                           /* … was sent */
#define JOINED 4
#define GONE 5                                              /* killed, or it has left */
byte left[N];                                               /* of its lease, by its own clock */
byte sc[N], scby[N], scage[N];                              /* the claim that it watches, and since when */
byte sh[N], shby[N], shkind[N], shage[N];                   /* the heartbeat */
byte mine[N];                                               /* revision of its own newest heartbeat */
byte sentage[N]; bit out[N], landed[N], lost[N];            /* a heartbeat under way: since, outcome */
byte missed;
#ifdef WIPE
bit wiped;
#endif
#define SAMEIDENTITY(p, by) ((by) == (p) + 1 || ((p) == 2 && (by) == 2))
/* Claim and heartbeat bear one nonce, and it is proven that the process is gone. */
#ifdef DEATH_BY_CLAIM
#define BOTH(p) 1
#else
#define BOTH(p) (shby[p] == scby[p])
#endif
#define PROVEN(p) (scby[p] > 0 && BOTH(p) && SAMEIDENTITY(p, scby[p]) && step[scby[p] - 1] == GONE)
#define FAREWELL(p) (scby[p] > 0 && shby[p] == scby[p] && shkind[p] == LEFT)
/* RULE joiner-watches: internal/core/claimer.cc */
#ifdef NO_JOINER_WATCHES
#define WATCHED(p) 1
#else
#define WATCHED(p) ((sc[p] == 0 || scage[p] == WAIT) && (sh[p] == 0 || shage[p] == WAIT))
#endif
#define FREE(p) (PROVEN(p) || FAREWELL(p) || WATCHED(p))
#define OTHERS(p) ((p != 0 && left[0] > 0) || (p != 1 && left[1] > 0) || (p != 2 && left[2] > 0))
#define STOP(p) left[p] = 0; out[p] = 0; landed[p] = 0; lost[p] = 0; sentage[p] = 0; mine[p] = 0; \
   sc[p] = 0; scby[p] = 0; scage[p] = 0; sh[p] = 0; shby[p] = 0; shkind[p] = 0; shage[p] = 0

proctype Process(byte p) {
end:
  do
  :: d_step { step[p] == OFF && (p != 2 || step[1] == GONE) -> step[p] = WATCHING; printf("process %d: starts, and watches the id\n", p);
       sc[p] = crev; scby[p] = cby; sh[p] = hrev; shby[p] = hby; shkind[p] = hkind }
  :: d_step { step[p] == WATCHING && sc[p] != crev -> sc[p] = crev; scby[p] = cby; scage[p] = 0; printf("process %d: sees a claim of process %d\n", p, cby - 1) }
  :: d_step { step[p] == WATCHING && sh[p] != hrev -> sh[p] = hrev; shby[p] = hby; shkind[p] = hkind; shage[p] = 0; printf("process %d: sees a heartbeat of process %d\n", p, hby - 1) }
  /* The claim is a compare-and-set at the revision watched … */
  :: d_step { step[p] == WATCHING && FREE(p) && crev == sc[p] && crev < MAXCLAIM ->
       crev++; cby = p + 1; step[p] = CLAIMED; sc[p] = 0; scby[p] = 0; scage[p] = 0; shage[p] = 0; shby[p] = 0; shkind[p] = 0;
       printf("process %d: claims the id\n", p) }
  /* … and so is the first heartbeat. */
  :: d_step { step[p] == CLAIMED -> step[p] = BEATING; out[p] = 1; mine[p] = sh[p]; sh[p] = 0; printf("process %d: sends its first heartbeat\n", p) }
  :: d_step { step[p] == JOINED && left[p] > 0 && !out[p] && !landed[p] && !lost[p] && hrev < MAXBEAT -> out[p] = 1; printf("process %d: sends a heartbeat\n", p) }
  :: d_step { out[p] ->
       out[p] = 0;
       if
       :: hrev == mine[p] && hrev < MAXBEAT && (hby == p + 1 || step[p] == BEATING) ->
          printf("process %d: its heartbeat is accepted\n", p);
          assert(step[p] != BEATING || !OTHERS(p));
          hrev++; hby = p + 1; hkind = LIVE; mine[p] = hrev; landed[p] = 1
       :: else -> lost[p] = 1; printf("process %d: its heartbeat conflicts\n", p)
       fi }
  :: d_step { landed[p] -> landed[p] = 0; step[p] = JOINED; left[p] = LEASE - sentage[p]; sentage[p] = 0; printf("process %d: has the answer; its lease has %d ticks left\n", p, left[p]) }
  :: d_step { lost[p] -> STOP(p); step[p] = GONE; printf("process %d: gives the id up\n", p) }
  :: d_step { step[p] == JOINED && left[p] == 0 && !out[p] && !landed[p] && !lost[p] -> STOP(p); step[p] = GONE; printf("process %d: its lease ran out\n", p) }
  /* Killed: what it sent may land yet. */
  :: d_step { step[p] != OFF && step[p] != GONE && p != 2 && !landed[p] && !lost[p] && !out[p] -> STOP(p); step[p] = GONE; printf("process %d: is killed\n", p) }
  :: d_step { step[p] == JOINED && left[p] > 0 && !out[p] && !landed[p] && !lost[p] && hrev == mine[p] && hrev < MAXBEAT ->
       hrev++; hkind = LEFT; STOP(p); step[p] = GONE; printf("process %d: has released all, and says `left`\n", p) }
  od
}

#ifdef WIPE
proctype Hand() {
end:
  do
  :: d_step { !wiped && crev > 0 && crev < MAXCLAIM -> wiped = 1; crev++; cby = 0; printf("somebody: deletes the claim\n") }
  :: d_step { !wiped && hrev > 0 && hrev < MAXBEAT -> wiped = 1; hrev++; hby = 0; hkind = 0; printf("somebody: deletes the heartbeat\n") }
  od
}
#endif

#define OLDER(a, cap) a = (a < cap -> a + 1 : cap)
#define TICK(p) if :: out[p] || landed[p] -> OLDER(sentage[p], LEASE) :: else fi; \
   if :: left[p] > 0 -> left[p]-- :: else fi
#define WATCHTICK(p) if :: step[p] == WATCHING -> OLDER(scage[p], WAIT); OLDER(shage[p], WAIT) :: else fi
proctype Time() {
end:
  do
  :: d_step { left[0] > 0 || left[1] > 0 || left[2] > 0 || out[0] || out[1] || out[2] || landed[0] || landed[1] || landed[2] ||
       step[0] == WATCHING || step[1] == WATCHING || step[2] == WATCHING ->
       if
       :: missed == 0 -> missed = SLOW - 1; printf("a tick, which the clock of process 0 misses\n")
       :: 1 -> if :: missed > 0 -> missed-- :: else fi; TICK(0); WATCHTICK(0); printf("a tick\n")
       fi;
       TICK(1); WATCHTICK(1); TICK(2); WATCHTICK(2) }
  od
}

init { atomic { run Process(0); run Process(1); run Process(2); run Time();
#ifdef WIPE
  run Hand()
#endif
} }
