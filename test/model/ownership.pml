/* Who holds what: the ownership protocol of docs/protocol.md for two workers, one or two partitions, and
 * leaders that die, are succeeded, or keep acting after they were deposed. README.md says what is
 * modelled, what isn't, and how far each world is searched; `check` runs all of it.
 *
 * Invariant: the two workers never hold one partition at once, and a doc's incarnation never goes down.
 * With PEACE also: once the faults have ended, everything ends up owned.
 *
 * Worlds:
 *   LEADERS=2    a second leader may take over at any time while the first goes on. Else there is one,
 *                and with
 *   SUCCESSOR    that one may die at any time and is followed by one that knows nothing
 *   NP=2         two partitions (else one); ROOM=1: a doc has room for one of them, so moves go in batches
 *   PENDING      a doc write may be answered late or never, and land later or never
 *   LATE         a worker may get the answer of an old read after newer ones
 *   STALE        a new leader's scan may end before the newest doc
 *   ABSENT       somebody deletes a heartbeat
 *   GARBAGE      somebody overwrites a doc with nonsense, or deletes it
 *   LEAVE        workers leave gracefully
 *   WIPE         the heartbeats or the docs, or both, are wiped: the bucket is deleted and recreated
 *   BACK         the newest doc is lost, and nothing tells: the bucket keeps its identity (a power cut, a backup)
 *   HEAR         heartbeats tell the highest epoch seen, and leaders wait for it (always with WIPE and BACK; the
 *                other worlds leave it out: their leaders may do more)
 *   PEACE        at some moment all faults end for good
 * Bounds: MAXREV (doc writes), MAXINC (lives per worker), MAXFENCE (terms).
 *
 * Every rule of internal/core/rules.h stands at its place here as "RULE name", with the file of
 * internal/core that enforces it; there a comment names the place here. The macro NO_… beside it takes
 * the rule away. `check` compares both sides.
 *
 * Abstractions: time enters only through the lease. It may end at any moment, and a leader's wait
 * ends no earlier than the leases that it waits for (lease.pml has the clocks). A life's process is the same
 * as its predecessor's under that id (twins.pml has two processes). What a plan wants is arbitrary,
 * until peace. */
#ifndef LEADERS
#define LEADERS 1
#endif
#ifndef NP
#define NP 1
#endif
#ifndef ROOM
#define ROOM NP
#endif
#ifndef MAXREV
#define MAXREV 4
#endif
#ifndef MAXINC
#define MAXINC 2
#endif
#ifndef MAXFENCE
#if LEADERS == 2 || defined(SUCCESSOR) || defined(WIPE) || defined(BACK)
#define MAXFENCE 2
#else
#define MAXFENCE 1
#endif
#endif
#if defined(WIPE) || defined(BACK)
#define HEAR
#endif
#define ALL ((1 << NP) - 1)                                 /* partitions are bits */
#define COUNT(m) (((m) & 1) + (((m) >> 1) & 1))

#define LIVE 1                                              /* kinds of heartbeat; 0: no key */
#define EVICTED 2
#define LEFT 3
#define DELETED 4

byte fence;                                                 /* election/leader: the epoch */
byte depoch[2], drev[2], dinc[2], down[2], drel[2];         /* assignment/worker-w */
byte hkind[2], hinc[2], hrev[2];                            /* heartbeat/worker-w; the applied revision */
byte held[2]; bit lease[2]; byte inc[2];                    /* what each worker truly does */
byte gone[2];                                               /* its life when the last tombstone was written */
#define OVERLAP (held[0] & held[1])

#ifdef PEACE
bit peace;
#define TROUBLE (!peace)
#define MAYJOIN(w) (inc[w] < MAXINC || (peace && inc[w] < MAXINC + 2))
#define MAYWRITE (drev[0] + drev[1] < MAXREV || (peace && drev[0] + drev[1] < MAXREV + 12))
#define MAYLEAD (fence < MAXFENCE || peace)
#define PLANNED(w, t) (!peace || (t) == (NP == 1 -> !(w) : 1 << (w)))
#else
#define TROUBLE 1
#define MAYJOIN(w) (inc[w] < MAXINC)
#define MAYWRITE (drev[0] + drev[1] < MAXREV)
#define MAYLEAD (fence < MAXFENCE)
#define PLANNED(w, t) 1
#endif
#ifdef GARBAGE
bit littered; byte dbad[2];                                 /* 1: the doc is nonsense, or deleted; 2: it stands in for one */
#define DBAD(w) dbad[w]
#define SETBAD(w, x) dbad[w] = x
#else
#define DBAD(w) 0
#define SETBAD(w, x) skip
#endif
#ifdef ABSENT
bit deleted;
#endif
#ifdef PENDING                                              /* a doc write in flight, to worker-0 */
bit pq[1]; byte pat[1], pepoch[1], pinc[1], pown[1], prel[1];
#endif
#if defined(STALE) || defined(BACK)                         /* the value of the doc before this one */
byte qepoch[2], qrev[2], qinc[2], qown[2], qrel[2];
#define REMEMBER(w) qepoch[w] = depoch[w]; qrev[w] = drev[w]; qinc[w] = dinc[w]; qown[w] = down[w]; qrel[w] = drel[w]
#else
#define REMEMBER(w) skip
#endif
#ifdef WIPE
bit dstream, hstream;                                       /* the identities of the streams */
bit ldstream, lhstream;                                     /* … that the leader record names */
#endif
#ifdef HEAR
byte hnonce[2], hseen[2];                                   /* of the applied doc; highest epoch seen */
#endif
#ifdef BACK
bit back;
#endif
#define PUT(w, at, by, life, own, rel) assert((life) >= dinc[w]); REMEMBER(w); \
   depoch[w] = by; dinc[w] = life; down[w] = own; drel[w] = rel; drev[w] = (at) + 1; SETBAD(w, 0)

#ifdef NO_FORWARD_ONLY
#define NEWER(r) 1
#else
#define NEWER(r) ((r) > last || LATER)  /* RULE forward-only [8]: internal/core/applier.cc */
#endif

proctype Worker(byte w) {
  byte e, r, own; bit seen, ok;                             /* the doc being looked at, or applied */
  byte last, top;                                           /* newest applied, newest seen in this life */
#ifdef LATE
  byte le, lr, lown; bit late;                              /* a read whose answer is late */
#define FORGETLATE late = 0; le = 0; lr = 0; lown = 0
#else
#define FORGETLATE skip
#endif
#ifdef FENCE_READ_AHEAD
  byte ahead;
#endif
#ifdef HEAR
  byte nonce, highest, by;
#define FORGETNONCE nonce = 0; by = 0
#define LATER (e > nonce)              /* a stream that went back uses revisions again, under a later term */
#define UNSEEN(w) (drev[w] != top || depoch[w] != by)
#define SEEN(w) top = r; by = e
#define REFUSED (e < highest)
/* While it drains before it adds something, it doesn't say that it has seen more than that doc. */
#ifdef HEARD_WHILE_DRAINING
#define TOLD highest
#else
#define TOLD (ok && (own & ~held[w]) && e < highest -> e : highest)
#endif
#else
#define FORGETNONCE skip
#define LATER 0
#define UNSEEN(w) (drev[w] != top)
#define SEEN(w) top = r
#define REFUSED 0
#endif
#define DROP seen = 0; ok = 0; e = 0; r = 0; own = 0
#define END lease[w] = 0; held[w] = 0; last = 0; top = 0; DROP; FORGETLATE; FORGETNONCE
#define MINE (hkind[w] == LIVE && hinc[w] == inc[w])        /* a CAS on the heartbeat would succeed */
end:
  do
  :: d_step { !lease[w] && MAYJOIN(w) ->
       inc[w]++; lease[w] = 1; hkind[w] = LIVE; hinc[w] = inc[w]; hrev[w] = 0;
#ifdef HEAR
       hnonce[w] = 0; hseen[w] = highest;
#endif
       printf("worker-%d: joins, its life %d\n", w, inc[w]) }
  :: d_step { lease[w] && (TROUBLE || !MINE) ->
       printf("worker-%d: its lease ends, or it finds itself evicted; it held %d\n", w, held[w]); END }
#ifdef LEAVE
#ifdef LEFT_BEFORE_RELEASED
  :: d_step { lease[w] && MINE && TROUBLE -> hkind[w] = LEFT; printf("worker-%d: says `left`, holding %d\n", w, held[w]) }
#else
  :: d_step { lease[w] && MINE && TROUBLE -> hkind[w] = LEFT; printf("worker-%d: releases %d and says `left`\n", w, held[w]); END }
#endif
#endif
  :: d_step { lease[w] && drev[w] > 0 && !DBAD(w) && dinc[w] == inc[w] && UNSEEN(w) && !ok ->
       DROP; e = depoch[w]; r = drev[w]; own = down[w]; seen = 1; SEEN(w);
       printf("worker-%d: sees doc %d of epoch %d: owned %d\n", w, r, e, own) }
#ifdef LATE
  :: d_step { w == 0 && !late && TROUBLE && lease[w] && drev[w] > 0 && dinc[w] == inc[w] ->
       le = depoch[w]; lr = drev[w]; lown = down[w]; late = 1; printf("worker-%d: asks for its doc, %d\n", w, lr) }
  :: d_step { late && !seen -> e = le; r = lr; own = lown; seen = 1; ok = 0; FORGETLATE;
       printf("worker-%d: the late answer shows doc %d of epoch %d: owned %d\n", w, r, e, own) }
#endif
/* Nothing to stop: applied at once. Else it first drains what is taken away, which takes its time; so
 * `held` is what the worker claims or still works on. */
#define CHECKED if :: held[w] & ~own -> ok = 1; printf("worker-%d: doc %d counts; it drains %d\n", w, r, held[w] & ~own) \
   :: else -> APPLY fi
#ifdef HEAR
#define NOTE nonce = e; if :: e > highest -> highest = e :: else fi
#else
#define NOTE skip
#endif
#define APPLY if :: NEWER(r) -> held[w] = own; last = r; NOTE; printf("worker-%d: applies doc %d; holds %d\n", w, r, own); assert(!OVERLAP) \
   :: else fi; DROP
/* RULE check-fence [2]: internal/core/applier.cc. The read starts after the doc was seen. */
#ifdef NO_CHECK_FENCE
  :: d_step { seen && !ok -> CHECKED }
#elif defined(FENCE_READ_AHEAD)
  :: d_step { ahead != fence -> ahead = fence; printf("worker-%d: reads `leader` ahead: epoch %d\n", w, ahead) }
  :: d_step { seen && !ok && ahead == e -> CHECKED }
  :: d_step { seen && !ok && ahead > e -> DROP }
#else
  :: d_step { seen && !ok && fence == e && !REFUSED -> printf("worker-%d: reads `leader`: epoch %d\n", w, fence); CHECKED }
  :: d_step { seen && !ok && (fence > e || REFUSED) -> DROP; printf("worker-%d: reads `leader`: epoch %d; the doc is refused\n", w, fence) }
#endif
  :: d_step { ok -> APPLY }
/* RULE drain-before-ack: internal/core/applier.cc */
#ifdef NO_DRAIN_BEFORE_ACK
  :: d_step { ok && MINE && lease[w] && hrev[w] != r -> hrev[w] = r; printf("worker-%d: acknowledges doc %d, not drained yet\n", w, r) }
#endif
#ifdef HEAR
  :: d_step { highest < fence -> highest = fence; printf("worker-%d: its watch shows epoch %d\n", w, fence) }
  :: d_step { lease[w] && MINE && (hrev[w] != last || hnonce[w] != nonce || hseen[w] != TOLD) ->
       hrev[w] = last; hnonce[w] = nonce; hseen[w] = TOLD;
       printf("worker-%d: heartbeat: applied doc %d, highest epoch %d\n", w, last, hseen[w]) }
#else
  :: d_step { lease[w] && MINE && !seen && hrev[w] != last -> hrev[w] = last; printf("worker-%d: heartbeat: applied doc %d\n", w, last) }
#endif
  od
}

/* ---- what a leader thinks of worker a: heartbeat xk, xi, xa; doc vr, ve, vi, vo, vl (releasing) ---- */

#ifdef GARBAGE
#define BAD(a) (vb[a] == 1)
#define UNKNOWN(a) (vb[a] == 2)
#define SAWBAD(a, x) vb[a] = x
#else
#define BAD(a) 0
#define UNKNOWN(a) 0
#define SAWBAD(a, x) skip
#endif
#define RECORD(a) (xk[a] == LIVE || xk[a] == EVICTED || xk[a] == LEFT)
#define SAMELIFE(a) (vr[a] > 0 && !BAD(a) && RECORD(a) && xi[a] == vi[a])
/* RULE wait-after-tombstone: internal/core/group_view.cc. How long that is: lease.pml. */
#ifdef NO_WAIT_AFTER_TOMBSTONE
#define WAITED(a) (xk[a] == EVICTED)
#else
#define WAITED(a) (xk[a] == EVICTED && !(lease[a] && inc[a] <= gone[a]))
#endif
#ifdef ABSENT_IS_DEAD
#define GONE(a) (xk[a] == DELETED)
#else
#define GONE(a) 0
#endif
#define OVER(a) (GONE(a) || (RECORD(a) && (BAD(a) -> (xk[a] == LEFT || WAITED(a)) : \
   (vr[a] == 0 || xi[a] > vi[a] || (xi[a] == vi[a] && xk[a] == LEFT) || (xi[a] >= vi[a] && WAITED(a))))))
#ifdef HEAR
#define ACKED(a) (SAMELIFE(a) && xk[a] == LIVE && xa[a] == vr[a] && xn[a] == ve[a])
/* RULE unexplained-holds-all: internal/core/group_view.cc */
#define UNEXPLAINED(a) ((xk[a] == LIVE || xk[a] == EVICTED) && xa[a] > 0 && \
   (vr[a] == 0 || xi[a] > vi[a] || (xi[a] == vi[a] && (xa[a] > vr[a] || (xa[a] == vr[a] && xn[a] != ve[a])))))
#ifdef NO_UNEXPLAINED_HOLDS_ALL
#define MYSTERY(a) 0
#else
#define MYSTERY(a) (!WAITED(a) && UNEXPLAINED(a))
#endif
/* RULE hear-after-fence [1]: internal/core/group_view.cc, internal/core/applier.cc. Until a life that stood when the fence was
 * written has shown that it saw the fence, it may hold, by a doc that is lost, what no other is known to hold. */
#define SUSPECT(a) (sus[a] != 0 && !WAITED(a))
#define HIDDEN(a) (SUSPECT(a) -> (ALL & ~vouched) : 0)
/* What a doc gives to a life that was heard is known to be its: nobody was given that since. */
#define VOUCH(a) if :: loaded == 2 && sus[a] == 0 && SAMELIFE(a) && xk[a] == LIVE && !UNEXPLAINED(a) -> \
   vouched = vouched | BYDOC(a) :: else fi
#else
#define ACKED(a) (SAMELIFE(a) && xk[a] == LIVE && xa[a] == vr[a])
#define MYSTERY(a) 0
#define SUSPECT(a) 0
#define HIDDEN(a) 0
#define VOUCH(a) skip
#endif
#ifdef PENDING
#define CLEARP(a) if :: (a) == 0 -> pw = 0; pl = 0 :: else fi
#define UNANSWERED(a) ((a) == 0 && pw != 0)
/* RULE remember-unanswered [7]: internal/core/group_view.cc */
#ifdef NO_REMEMBER_UNANSWERED
#define MAYLAND(a) 0
#else
#define MAYLAND(a) ((a) == 1 || (RECORD(a) && xi[a] > pl) -> 0 : pw)
#endif
#else
#define CLEARP(a) skip
#define UNANSWERED(a) 0
#define MAYLAND(a) 0
#endif
/* RULE unreadable-holds-all: internal/core/group_view.cc */
#ifdef NO_UNREADABLE_HOLDS_ALL
#define NONSENSE 0
#else
#define NONSENSE ALL
#endif
/* RULE unacked-holds-all [4]: internal/core/group_view.cc */
#ifdef NO_UNACKED_HOLDS_ALL
#define BYDOC(a) vo[a]
#else
#define BYDOC(a) (ACKED(a) -> vo[a] : (vo[a] | vl[a]))
#endif
#define HELD(a) (MAYLAND(a) | (MYSTERY(a) -> ALL : 0) | (OVER(a) -> 0 : (BAD(a) || UNKNOWN(a) -> NONSENSE : BYDOC(a))))
/* RULE never-older-life [5]: internal/core/group_view.cc, internal/core/monitor.cc */
#ifdef NO_NEVER_OLDER_LIFE
#define OLDER(a) 0
#else
#define OLDER(a) (vr[a] > 0 && !BAD(a) && xi[a] < vi[a])
#endif
#define USABLE(a) (xk[a] == LIVE && !BAD(a) && !(UNKNOWN(a) && SAMELIFE(a)) && !MYSTERY(a) && !SUSPECT(a) && !OLDER(a))

/* ---- what it writes: any part of target t that stands already or is free ---- */

#ifdef NO_READ_AFTER_FENCE
#define READS 1
#else
#define READS (epoch > 0)              /* RULE read-after-fence [1]: internal/core/election.cc */
#endif
/* RULE rewrite-foreign [6]: internal/core/publisher.cc */
#ifdef NO_REWRITE_FOREIGN
#define REWRITE(a) 0
#else
#define REWRITE(a) (SAMELIFE(a) && ve[a] != epoch && !ACKED(a))
#endif
/* RULE rewrite-is-grant [6]: internal/core/publisher.cc */
#ifdef NO_REWRITE_IS_GRANT
#define STANDS(a) (SAMELIFE(a) -> vo[a] : 0)
#else
#define STANDS(a) (SAMELIFE(a) && !REWRITE(a) -> vo[a] : 0)
#endif
/* RULE grant-only-free [3]: internal/core/publisher.cc */
#ifdef NO_GRANT_ONLY_FREE
#define FREE(o) ALL
#else
#define FREE(o) (ALL & ~((HELD(o)) | HIDDEN(o)))
#endif
#define WISH(a, o, t) ((t) & ((STANDS(a)) | (FREE(o))))
#if ROOM < NP
#define FITS(a, o, t) (COUNT(WISH(a, o, t) | ((HELD(a)) & ~(t))) <= ROOM)
#ifdef RELEASING_CUT_TO_FIT
#define OWN(a, o, t) WISH(a, o, t)
#define CUT(own, rel) (COUNT((own) | (rel)) <= ROOM -> (rel) : 0)
#else
#define OWN(a, o, t) (FITS(a, o, t) -> WISH(a, o, t) : (WISH(a, o, t)) & (STANDS(a)))
#define CUT(own, rel) (rel)
#endif
#else
#define OWN(a, o, t) WISH(a, o, t)
#define CUT(own, rel) (rel)
#endif
/* RULE keep-releasing [4]: internal/core/publisher.cc */
#ifdef NO_KEEP_RELEASING
#define RELEASING(a, o, t) 0
#else
#define RELEASING(a, o, t) CUT(OWN(a, o, t), (HELD(a)) & ~(OWN(a, o, t)))
#endif
#define NEEDED(a, o, t) (!SAMELIFE(a) || REWRITE(a) || UNANSWERED(a) || (OWN(a, o, t)) != vo[a])
#ifdef WIPE
#define HASSTREAM (gd == dstream)
#define SAMESTREAM HASSTREAM
#define HELDBACK hold
#else
#define SAMESTREAM 1
#define HELDBACK 0
#endif
#ifdef WIPE    /* a create succeeds on the recreated stream, too */
#define SAME(a) (vr[a] == drev[a] && (HASSTREAM || vr[a] == 0))
#else
#define SAME(a) (vr[a] == drev[a])
#endif
#define ACTS(a) (epoch > 0 && loaded == 2 && MAYWRITE && !HELDBACK)
#define TOOK(a, life, own, rel) vr[a] = drev[a]; ve[a] = epoch; vi[a] = life; vo[a] = own; vl[a] = rel; SAWBAD(a, 0); CLEARP(a); VOUCH(a)
#define PUBLISH(a, o, t) d_step { ACTS(a) && SAME(a) && PLANNED(a, t) && USABLE(a) && NEEDED(a, o, t) -> \
   x = OWN(a, o, t); y = RELEASING(a, o, t); \
   PUT(a, vr[a], epoch, xi[a], x, y); TOOK(a, xi[a], x, y); \
   printf("leader %d: writes doc %d of worker-%d for life %d: owned %d, releasing %d\n", epoch, vr[a], a, vi[a], x, y); x = 0; y = 0 }
#define EMPTY(a) d_step { ACTS(a) && SAME(a) && xk[a] != LIVE && OVER(a) && (vo[a] || vl[a] || BAD(a) || UNKNOWN(a) || UNANSWERED(a)) -> \
   x = (xi[a] > vi[a] -> xi[a] : vi[a]); PUT(a, vr[a], epoch, x, 0, 0); TOOK(a, x, 0, 0); \
   printf("leader %d: empties doc %d of worker-%d, which is gone\n", epoch, vr[a], a); x = 0 }
#ifdef GARBAGE    /* who lives under an unreadable doc holds everything; the stand-in says whom that is true of */
#define STANDIN(a) d_step { ACTS(a) && SAME(a) && xk[a] == LIVE && BAD(a) -> \
   PUT(a, vr[a], epoch, xi[a], 0, 0); TOOK(a, xi[a], 0, 0); SETBAD(a, 2); SAWBAD(a, 2); \
   printf("leader %d: writes doc %d of worker-%d, which stands in for the unreadable one\n", epoch, vr[a], a) }
#endif
#ifdef PENDING
#define SEND(a, o, t) d_step { TROUBLE && ACTS(a) && !pq[a] && USABLE(a) && NEEDED(a, o, t) -> \
   pq[a] = 1; pat[a] = vr[a]; pepoch[a] = epoch; pinc[a] = xi[a]; pown[a] = OWN(a, o, t); prel[a] = RELEASING(a, o, t); \
   pw = pw | pown[a] | prel[a]; pl = xi[a]; \
   printf("leader %d: sends worker-%d for life %d, without an answer: owned %d, releasing %d\n", epoch, a, xi[a], pown[a], prel[a]) }
#define LAND(a) d_step { pq[a] -> \
   if :: drev[a] == pat[a] && pinc[a] >= dinc[a] -> PUT(a, pat[a], pepoch[a], pinc[a], pown[a], prel[a]); printf("the network: the write lands, doc %d of worker-%d\n", drev[a], a) \
      :: else -> printf("the network: the write to worker-%d conflicts, or is lost\n", a) fi; \
   pq[a] = 0; pat[a] = 0; pepoch[a] = 0; pinc[a] = 0; pown[a] = 0; prel[a] = 0 }
#define LOSE(a) d_step { pq[a] && TROUBLE -> pq[a] = 0; pat[a] = 0; pepoch[a] = 0; pinc[a] = 0; pown[a] = 0; prel[a] = 0; \
   printf("the network: the write to worker-%d is lost\n", a) }
#endif

/* ---- what it reads ---- */

#ifdef HEAR
#define HEARD(a) (hinc[a] != sus[a] || hkind[a] == LEFT || (hkind[a] == LIVE && hseen[a] >= epoch))
#define SEEHIGHEST(a) xn[a] = hnonce[a]; if :: HEARD(a) -> sus[a] = 0 :: else fi; VOUCH(a)
#define HDIFFERS(a) (xn[a] != hnonce[a] || (sus[a] != 0 && HEARD(a)))
#else
#define SEEHIGHEST(a) skip
#define HDIFFERS(a) 0
#endif
#define VIEWED(a) (xk[a] == hkind[a] && xi[a] == hinc[a] && xa[a] == hrev[a] && !HDIFFERS(a))
#ifdef WIPE
#define SEES(a) (gh == hstream)
#else
#define SEES(a) 1
#endif
#define SEE(a) d_step { epoch > 0 && SEES(a) && !VIEWED(a) -> xk[a] = hkind[a]; xi[a] = hinc[a]; xa[a] = hrev[a]; SEEHIGHEST(a); \
   printf("leader %d: sees the heartbeat of worker-%d: kind %d, life %d, applied doc %d\n", epoch, a, xk[a], xi[a], xa[a]) }
#define TAKE(a, r, by, life, own, rel) vr[a] = r; ve[a] = by; vi[a] = life; vo[a] = own; vl[a] = rel; CLEARP(a); \
   if :: loaded == a -> loaded = a + 1 :: else fi; VOUCH(a)
#define LOAD(a) d_step { READS && SAMESTREAM && (loaded == a || (loaded == 2 && vr[a] < drev[a])) -> \
   TAKE(a, drev[a], depoch[a], dinc[a], down[a], drel[a]); SAWBAD(a, DBAD(a)); \
   printf("leader %d: reads doc %d of worker-%d: life %d, owned %d, releasing %d\n", epoch, vr[a], a, vi[a], vo[a], vl[a]) }
#ifdef STALE
/* RULE scan-reaches-end [1]: internal/core/watch.cc. `want` is what the stream reported after the fence. */
#ifdef NO_SCAN_REACHES_END
#define REACHED(a) 1
#else
#define REACHED(a) (qrev[a] >= want[a])
#endif
#define LOADSTALE(a) d_step { READS && loaded == a && qrev[a] != drev[a] && REACHED(a) -> \
   TAKE(a, qrev[a], qepoch[a], qinc[a], qown[a], qrel[a]); \
   printf("leader %d: its scan ends early: doc %d of worker-%d: life %d, owned %d, releasing %d\n", epoch, vr[a], a, vi[a], vo[a], vl[a]) }
#endif
#define EVICT(a) d_step { epoch > 0 && loaded == 2 && (TROUBLE || xk[a] == DELETED || (UNKNOWN(a) && SAMELIFE(a)) || MYSTERY(a) || OLDER(a)) && \
   (xk[a] == LIVE || xk[a] == DELETED) && SEES(a) && VIEWED(a) -> \
   if :: vi[a] > xi[a] -> hinc[a] = vi[a]; xi[a] = vi[a] :: else fi; hkind[a] = EVICTED; xk[a] = EVICTED; gone[a] = inc[a]; \
   printf("leader %d: evicts worker-%d, life %d\n", epoch, a, xi[a]) }
#define BLANK(a) vr[a] = 0; ve[a] = 0; vi[a] = 0; vo[a] = 0; vl[a] = 0; xk[a] = 0; xi[a] = 0; xa[a] = 0; SAWBAD(a, 0); CLEARP(a)

proctype Leader(byte me) {
  byte epoch, loaded, x, y;
  byte vr[2], ve[2], vi[2], vo[2], vl[2];                   /* its view of the docs       */
  byte xk[2], xi[2], xa[2];                                 /* its view of the heartbeats */
#ifdef GARBAGE
  byte vb[2];
#endif
#ifdef PENDING
  byte pw, pl;                                              /* unanswered writes, for which life */
#endif
#ifdef STALE
  byte want[2];
#define WANT want[0] = drev[0]; want[1] = drev[1]
#else
#define WANT skip
#endif
#ifdef HEAR
  byte xn[2], sus[2], vouched;
#ifdef NO_HEAR_AFTER_FENCE
#define FORHEARING skip
#else
#define MAYHIDE(a) (hkind[a] == EVICTED || (hkind[a] == LIVE && hseen[a] < epoch) -> hinc[a] : 0)
#define FORHEARING sus[0] = MAYHIDE(0); sus[1] = MAYHIDE(1)
#endif
#define DEAF xn[0] = 0; xn[1] = 0; sus[0] = 0; sus[1] = 0; vouched = 0
#else
#define FORHEARING skip
#define DEAF skip
#endif
#ifdef WIPE
  bit gd, gh, hold;
/* RULE first-grant-waits: internal/core/leader.cc. Where a stream isn't the one that the record names. */
#ifdef NO_FIRST_GRANT_WAITS
#define UNKNOWNPAST 0
#else
#define UNKNOWNPAST (ldstream != dstream || lhstream != hstream)
#endif
#define STREAMS gd = dstream; gh = hstream; hold = UNKNOWNPAST
#define BLANKSTREAMS gd = 0; gh = 0; hold = 0
#define ORPHAN(w) (lease[w] && !(hkind[w] == LIVE && hinc[w] == inc[w]))
#else
#define STREAMS skip
#define BLANKSTREAMS skip
#endif
end:
  do
  :: d_step { epoch == 0 && MAYLEAD && (LEADERS == 1 || fence == me) ->
       fence++; epoch = fence; FORHEARING; STREAMS; WANT; printf("leader %d: takes over, and writes its fence\n", epoch) }
#ifdef SUCCESSOR
  :: d_step { epoch > 0 && fence < MAXFENCE && TROUBLE -> printf("leader %d: dies\n", epoch);
       epoch = 0; loaded = 0; BLANK(0); BLANK(1); DEAF; BLANKSTREAMS;
#ifdef STALE
       want[0] = 0; want[1] = 0
#endif
     }
#endif
#ifdef WIPE
  /* It notices that a stream is another one, by its identity. */
  :: d_step { epoch > 0 && (gd != dstream || gh != hstream) && MAYLEAD ->
       loaded = 0; BLANK(0); BLANK(1); DEAF; BLANKSTREAMS; fence++; epoch = fence; FORHEARING; STREAMS;
       printf("leader %d: a bucket was recreated; a new term\n", epoch) }
  /* The longest lease is over: no life is left whose heartbeat is gone. */
  :: d_step { epoch > 0 && hold && loaded == 2 && gd == dstream && gh == hstream && !ORPHAN(0) && !ORPHAN(1) ->
       hold = 0; ldstream = gd; lhstream = gh; printf("leader %d: the longest lease is over\n", epoch) }
#endif
#ifdef BACK
  /* … or that it went back: a doc is gone that was there. */
  :: d_step { epoch > 0 && loaded == 2 && vr[0] > drev[0] && MAYLEAD ->
       loaded = 0; BLANK(0); BLANK(1); DEAF; fence++; epoch = fence; FORHEARING; WANT;
       printf("leader %d: the doc of worker-0 has vanished; a new term\n", epoch) }
#endif
  :: SEE(0)          :: SEE(1)
  :: LOAD(0)         :: LOAD(1)
#ifdef STALE
  :: LOADSTALE(0)    :: LOADSTALE(1)
#endif
  :: EVICT(0)        :: EVICT(1)
  :: EMPTY(0)        :: EMPTY(1)
#ifdef GARBAGE
  :: STANDIN(0)
#endif
  :: PUBLISH(0, 1, 0) :: PUBLISH(1, 0, 0)
  :: PUBLISH(0, 1, 1) :: PUBLISH(1, 0, 1)
#if NP == 2
  :: PUBLISH(0, 1, 2) :: PUBLISH(1, 0, 2)
  :: PUBLISH(0, 1, 3) :: PUBLISH(1, 0, 3)
#endif
#ifdef PENDING
  :: SEND(0, 1, 0)   :: SEND(0, 1, 1)
#endif
  od
}

#if defined(PENDING) || defined(ABSENT) || defined(GARBAGE) || defined(WIPE) || defined(BACK) || defined(PEACE)
#define WORLD
/* The network, and somebody's hand. */
proctype World() {
end:
  do
#ifdef PENDING
  :: LAND(0) :: LOSE(0)
#endif
#ifdef ABSENT
  :: d_step { !deleted && TROUBLE && hkind[0] == LIVE -> deleted = 1; hkind[0] = DELETED; hinc[0] = 0; hrev[0] = 0;
       printf("somebody: deletes the heartbeat of worker-0\n") }
#endif
#ifdef GARBAGE
  :: d_step { !littered && TROUBLE && drev[0] > 0 && !dbad[0] -> littered = 1; dbad[0] = 1; drev[0]++; depoch[0] = 0; dinc[0] = 0; down[0] = 0; drel[0] = 0;
       printf("somebody: writes nonsense over the doc of worker-0\n") }
#endif
#ifdef WIPE
#define NODOC(w) depoch[w] = 0; drev[w] = 0; dinc[w] = 0; down[w] = 0; drel[w] = 0
#define NOBEAT(w) hkind[w] = 0; hinc[w] = 0; hrev[w] = 0; hnonce[w] = 0; hseen[w] = 0
  :: d_step { !dstream && TROUBLE -> dstream = 1; NODOC(0); NODOC(1); printf("somebody: wipes the docs\n") }
  :: d_step { !hstream && TROUBLE -> hstream = 1; NOBEAT(0); NOBEAT(1); printf("somebody: wipes the heartbeats\n") }
#endif
#ifdef BACK
  :: d_step { !back && TROUBLE && drev[0] > 0 && drev[0] != qrev[0] -> back = 1;
       depoch[0] = qepoch[0]; drev[0] = qrev[0]; dinc[0] = qinc[0]; down[0] = qown[0]; drel[0] = qrel[0];
       printf("the server: loses the newest doc of worker-0, and goes back to doc %d\n", drev[0]) }
#endif
#ifdef PEACE
  :: d_step { !peace -> peace = 1; printf("peace\n") }
#endif
  od
}
#endif

#ifdef PEACE
#define OWNED ((held[0] | held[1]) == ALL)
ltl settles { (<> peace) -> (<> [] OWNED) }
#endif

init { atomic { run Worker(0); run Worker(1); run Leader(0);
#if LEADERS == 2
  run Leader(1);
#endif
#ifdef WORLD
  run World()
#endif
} }
