/* The ownership protocol of docs/protocol.md, for one partition, two workers and two leaders, either
 * of which may keep acting after it was deposed. Invariant: both workers never hold at once.
 *
 *   spin -a ownership.pml && gcc -O2 -DCOLLAPSE -DSAFETY -DMEMLIM=20000 -o pan pan.c && ./pan -E -m5000000 -w28
 *
 * Wider worlds:
 *   -DPENDING       a leader's doc write may be answered late or never, and land later or never
 *   -DLATE          a worker may get the answer of an old read after newer ones
 * Smaller ones: -DONELEADER, -DMAXVER=n.
 *
 * Mutations, each of which must be caught (-DBFS finds those marked * within 25 steps; the others
 * need a depth-first or bitstate run of minutes):
 *   -DNOFENCE*       a worker applies a doc without checking the fence                    rule 2
 *   -DLOADFIRST*     a new leader reads the docs before it writes its fence               rule 1
 *   -DGRANTHELD*     a partition is granted without asking who may hold it                rule 3
 *   -DNORELEASING*   a revoked partition is forgotten instead of kept in `releasing`      rule 4
 *   -DFORGETUNACKED* only `owned` counts as held before the worker acknowledged           rule 4
 *   -DOLDLIFE        a doc may be written for an older incarnation than it names          rule 5
 *   -DRESTAMPBLIND   a standing doc is rewritten under a new epoch without rule 3         rule 6
 *   -DPENDING -DFORGETPENDING   a write without an answer counts as not made              rule 7
 *   -DLATE -DANYORDER           a worker applies docs in any order (with -DONELEADER*)    rule 8
 *
 * Abstractions: a doc's identity and order is its ver (its KV revision in the real thing; a CAS
 * makes it rise per doc). Time enters only through the lease: it may end at any moment, and the
 * leader's wait after an eviction ends no earlier than the lease does. A read returns the newest value
 * (unless LATE). Not modelled: the wait itself, stale scans and cached fence reads, heartbeat answers
 * lost, absent keys, two processes on one id, wiped buckets. */
#ifndef MAXVER
#define MAXVER 4
#endif
#define MAXINC 2

byte fence = 0;                                             /* election/leader: the epoch  */
byte depoch[2], dver[2], dinc[2]; bit down[2], drel[2];     /* assignment/worker-w         */
byte hinc[2], haep[2], haver[2]; bit hev[2];                /* heartbeat/worker-w          */
bit held[2], lease[2]; byte inc[2];                         /* what each worker truly does */
#define OVERLAP (held[0] && held[1])
#ifdef PENDING                                              /* one doc write in flight per worker */
bit pq[2]; byte pver0[2], pver[2], pepoch[2], pinc[2];
#endif

#ifdef ANYORDER
#define NEWER 1
#else
#define NEWER (v > last)
#endif

proctype Worker(byte w) {
  byte e, v, n; bit own, seen, ok;                          /* the doc being applied */
  byte last;                                                /* newest applied in this life */
#ifdef LATE
  byte le, lv, ln; bit lown, lseen;                         /* a read whose answer is late */
#endif
  do
  :: d_step { !lease[w] && inc[w] < MAXINC ->               /* join: a new life, holding nothing */
       inc[w]++; held[w] = 0; lease[w] = 1; last = 0; hinc[w] = inc[w]; haep[w] = 0; haver[w] = 0; hev[w] = 0 }
  :: d_step { lease[w] -> lease[w] = 0; held[w] = 0 }       /* the lease runs out */
  :: d_step { !seen && lease[w] && depoch[w] > 0 && dinc[w] == inc[w] && !(haep[w] == depoch[w] && haver[w] == dver[w]) ->
       e = depoch[w]; v = dver[w]; n = dinc[w]; own = down[w]; seen = 1; ok = 0 }
#ifdef LATE
  :: d_step { !lseen && lease[w] && depoch[w] > 0 && dinc[w] == inc[w] -> le = depoch[w]; lv = dver[w]; ln = dinc[w]; lown = down[w]; lseen = 1 }
  :: d_step { lseen && !seen -> e = le; v = lv; n = ln; own = lown; seen = 1; ok = 0; lseen = 0; le = 0; lv = 0; ln = 0; lown = 0 }
#endif
#ifdef NOFENCE
  :: d_step { seen && !ok -> ok = 1 }
#else
  :: d_step { seen && !ok && fence == e -> ok = 1 }
  :: d_step { seen && !ok && fence != e -> seen = 0; e = 0; v = 0; n = 0; own = 0 }
#endif
  :: atomic { seen && ok && lease[w] && n == inc[w] && NEWER -> held[w] = own; last = v; assert(!OVERLAP);
       if :: hev[w] -> lease[w] = 0; held[w] = 0            /* the heartbeat's CAS fails: evicted */
          :: else -> haep[w] = e; haver[w] = v fi;
       seen = 0; ok = 0; e = 0; v = 0; n = 0; own = 0 }
  :: d_step { seen && ok && !(lease[w] && n == inc[w] && NEWER) -> seen = 0; ok = 0; e = 0; v = 0; n = 0; own = 0 }
  od
}

#define SAME(a) (ve[a] == depoch[a] && vv[a] == dver[a])    /* a CAS on the doc would succeed */
#ifdef PENDING
#define CLEARP(a) pw[a] = 0
#ifdef FORGETPENDING
#define MAYLAND(a) 0
#else
#define MAYLAND(a) (pw[a] && !(xi[a] > pl[a]))
#endif
#else
#define CLEARP(a) skip
#define MAYLAND(a) 0
#endif
#ifdef GRANTHELD
#define HOLDS(a) 0
#elif defined(FORGETUNACKED)
#define HOLDS(a) (ve[a] > 0 && vo[a])
#else
#define HOLDS(a) (MAYLAND(a) || (ve[a] > 0 && !(xi[a] > vi[a]) \
   && !(xi[a] == vi[a] && xx[a] && !(lease[a] && inc[a] == vi[a])) \
   && ((xi[a] == vi[a] && xe[a] == ve[a] && xv[a] == vv[a]) -> vo[a] : (vo[a] || vr[a]))))
#endif
#ifdef NORELEASING
#define KEEP 0
#else
#define KEEP 1
#endif
#ifdef OLDLIFE
#define LIVES(a) 1
#else
#define LIVES(a) (xi[a] >= vi[a])
#endif
#ifdef LOADFIRST
#define LEADING 1
#else
#define LEADING (epoch > 0)
#endif
#ifdef RESTAMPBLIND
#define MAYRESTAMP(a, o) 1
#else
#define MAYRESTAMP(a, o) (!vo[a] || !HOLDS(o))
#endif
#define ACTS(a) (epoch > 0 && loaded == 2 && ver < MAXVER && SAME(a))
#define WRITE(a, life, own, rel) ver++; depoch[a] = epoch; dver[a] = ver; dinc[a] = life; down[a] = own; drel[a] = rel; \
   ve[a] = epoch; vv[a] = ver; vi[a] = life; vo[a] = own; vr[a] = rel; CLEARP(a)
#define GRANT(a, o)   d_step { ACTS(a) && xi[a] > 0 && LIVES(a) && !xx[a] && !vo[a] && !HOLDS(o) -> WRITE(a, xi[a], 1, 0) }
#define REGRANT(a, o) d_step { ACTS(a) && xi[a] > vi[a] && !xx[a] && vo[a] && !HOLDS(o) -> WRITE(a, xi[a], 1, 0) }
#define REVOKE(a)     d_step { ACTS(a) && xi[a] > 0 && vo[a] -> WRITE(a, vi[a], 0, KEEP) }
/* the standing doc was never acknowledged and bears another leader's epoch: its worker will refuse it */
#define RESTAMP(a, o) d_step { ACTS(a) && ve[a] > 0 && ve[a] != epoch && xi[a] == vi[a] && !(xe[a] == ve[a] && xv[a] == vv[a]) && MAYRESTAMP(a, o) -> WRITE(a, vi[a], vo[a], vr[a]) }
#define SEE(a)   d_step { epoch > 0 && !(xi[a] == hinc[a] && xe[a] == haep[a] && xv[a] == haver[a] && xx[a] == hev[a]) -> \
   xi[a] = hinc[a]; xe[a] = haep[a]; xv[a] = haver[a]; xx[a] = hev[a] }
#define LOAD(a)  d_step { LEADING && (loaded == a || (loaded == 2 && !SAME(a))) -> \
   ve[a] = depoch[a]; vv[a] = dver[a]; vi[a] = dinc[a]; vo[a] = down[a]; vr[a] = drel[a]; CLEARP(a); \
   if :: vv[a] > ver -> ver = vv[a] :: else fi; if :: loaded == a -> loaded = a + 1 :: else fi }
#define EVICT(a) d_step { epoch > 0 && loaded == 2 && xi[a] > 0 && !xx[a] && xi[a] == hinc[a] && xe[a] == haep[a] && xv[a] == haver[a] && !hev[a] -> hev[a] = 1; xx[a] = 1 }
#ifdef PENDING
#define SEND(a, o) d_step { ACTS(a) && !pq[a] && xi[a] > 0 && LIVES(a) && !xx[a] && !vo[a] && !HOLDS(o) -> \
   ver++; pq[a] = 1; pver0[a] = vv[a]; pver[a] = ver; pepoch[a] = epoch; pinc[a] = xi[a]; pw[a] = 1; pl[a] = xi[a] }
#define LAND(a) d_step { pq[a] -> if :: dver[a] == pver0[a] -> depoch[a] = pepoch[a]; dver[a] = pver[a]; dinc[a] = pinc[a]; down[a] = 1; drel[a] = 0 \
   :: else fi; pq[a] = 0; pver0[a] = 0; pver[a] = 0; pepoch[a] = 0; pinc[a] = 0 }
#endif

proctype Leader(byte me) {
  byte epoch, ver, loaded;
  byte ve[2], vv[2], vi[2]; bit vo[2], vr[2];               /* its view of the docs       */
  byte xi[2], xe[2], xv[2]; bit xx[2];                      /* its view of the heartbeats */
#ifdef PENDING
  bit pw[2]; byte pl[2];                                    /* unanswered writes, for which life */
#endif
end:
  do
  :: d_step { epoch == 0 && fence == me -> fence++; epoch = fence }   /* take over: fence first */
  :: SEE(0)          :: SEE(1)
  :: LOAD(0)         :: LOAD(1)
  :: EVICT(0)        :: EVICT(1)
  :: GRANT(0, 1)     :: GRANT(1, 0)
  :: REGRANT(0, 1)   :: REGRANT(1, 0)
  :: REVOKE(0)       :: REVOKE(1)
  :: RESTAMP(0, 1)   :: RESTAMP(1, 0)
#ifdef PENDING
  :: SEND(0, 1)      :: SEND(1, 0)
#endif
  od
}

#ifdef PENDING
proctype Network() { end: do :: LAND(0) :: LAND(1) od }
#endif

init { atomic { run Worker(0); run Worker(1); run Leader(0);
#ifndef ONELEADER
  run Leader(1);
#endif
#ifdef PENDING
  run Network()
#endif
} }
