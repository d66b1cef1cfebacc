/**
 * Who shares runs with whom.
 *
 * Sessions that share a run leave together, arrive together at the next server, and share its run too: groups last. If all
 * sessions of a chain were one group, one server would compute at a time. If each were its own, every run would read all
 * weights for one token. So a run takes a share of the sessions, one for each server of a chain, and a run of fewer waits
 * once in a while for the next group, to become one with it.
 * @module
 */
import type { Session } from "./Session.ts"

export interface Groups {
  /** Sessions that a run may take, if `first` is the first that waits. */
  readonly share: (first: Session) => number
  /**
   * Milliseconds for which a run should wait for more sessions when `ready` of them are; mostly 0. To be asked once a run.
   * `now`: milliseconds of any clock that does not go back.
   */
  readonly patience: (first: Session, ready: number, now: number) => number
  /** A run of these sessions begins. */
  readonly ran: (sessions: ReadonlyArray<Session>, now: number) => void
}

interface Turn {
  /** Number of the run. */
  readonly run: number
  /** When it began. */
  readonly at: number
}

/** Rounds from one wait that helped nobody to the next, at first; then twice as many each time. */
const FIRST_PAUSE = 4
const LONGEST_PAUSE = 256

/** @param hops servers of a chain: as many groups can be computed at a time */
export const makeGroups = (hops: number): Groups => {
  /** The last turn of each session, the oldest first. */
  const turns = new Map<Session, Turn>()
  let run = 0
  let pause = FIRST_PAUSE
  /** No wait before this run. */
  let restUntil = 0
  /** Sessions of the run that last waited for more. */
  let waitedWith = 0

  /** Forgets who has left out a turn since `first` had its last one; what stays is a round. */
  const prune = (first: Session): void => {
    let isBefore = turns.has(first)
    for (const session of turns.keys()) {
      if (session === first) isBefore = false
      else if (isBefore || session.isClosed()) turns.delete(session)
    }
  }

  const share = (first: Session): number => {
    prune(first)
    // graphs hold 2, 4, 8 … sessions: a place that stays empty costs as much as one that is taken
    let sessions = 2
    while (sessions < turns.size / hops) sessions *= 2
    return sessions
  }

  return {
    share,
    patience: (first, ready, now) => {
      const most = share(first)
      const last = turns.get(first)
      if (last === undefined || ready >= most || run < restUntil) return 0
      const groups = run - last.run
      if (groups <= Math.ceil(turns.size / most)) return 0
      waitedWith = ready
      restUntil = run + pause * groups
      // as far as groups are apart, and half of that again
      return (1.5 * (now - last.at)) / groups
    },
    ran: (sessions, now) => {
      if (waitedWith > 0) {
        pause = sessions.length > waitedWith ? FIRST_PAUSE : Math.min(2 * pause, LONGEST_PAUSE)
        if (sessions.length > waitedWith) restUntil = 0
        waitedWith = 0
      }
      for (const session of sessions) {
        turns.delete(session)
        turns.set(session, { run, at: now })
      }
      run++
    }
  }
}
