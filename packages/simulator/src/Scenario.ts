/**
 * What a simulation is told: a swarm, its network, what befalls it, and who uses it.
 * @module
 */

/** A line. */
export interface LinkSpec {
  /** Round trip in milliseconds. */
  readonly rttMs: number
  /** Megabits a second. @default {1000} */
  readonly mbps?: number
}

/** Servers of one kind. */
export interface ServerSpec {
  /** @default {1} */
  readonly count?: number
  /** @default {""} */
  readonly region?: string
  /** A number: so many blocks, where the balancer puts them. A pair [from, to): exactly these, for good. A pair in `between`: drawn evenly. */
  readonly blocks: number | readonly [number, number] | { readonly between: readonly [number, number] }
  /** Tokens per second through one block: one at a time, and of a prompt. */
  readonly decodeRate: number
  readonly prefillRate: number
  /** Its own line, megabits a second. @default {that of the link} */
  readonly mbps?: number
  /** Tokens of sessions that its memory holds. @default {65536} */
  readonly kvTokens?: number
  /** Sessions that one run serves at the price of one; more share. @default {4} */
  readonly batch?: number
  /** They come evenly over these seconds. @default {[0, 0]} */
  readonly join?: readonly [number, number]
  /** Mean life in seconds, exponential; then it vanishes, and comes back after `awaySeconds`. @default {for ever} */
  readonly lifeSeconds?: number
  /** @default {never back} */
  readonly awaySeconds?: number
  /** Hours of the day during which it is there, [from, to); it leaves and comes with warning. @default {always} */
  readonly hours?: readonly [number, number]
}

/** Sessions of one kind. */
export interface LoadSpec {
  /** How many, spread evenly at random over `during`. */
  readonly count: number
  /** @default {[0, 0]}: all at the start */
  readonly during?: readonly [number, number]
  /** Weights of the 24 hours of a day: more come where it is greater. @default {even} */
  readonly byHour?: ReadonlyArray<number>
  readonly region?: string
  readonly promptTokens: number
  readonly newTokens: number
}

/** What befalls all servers of a region at once. */
export interface Blow {
  readonly at: number
  /** The region, those inside it included. */
  readonly region: string
  /** They vanish for so long. */
  readonly awaySeconds?: number
  /** Or become so many times slower. */
  readonly slower?: number
}

/** How a session deals with the loss of a server. */
export type Recovery =
  /** A replacement is fed what the lost server had seen, as a prompt. */
  | "replay"
  /** The same, token by token. */
  | "replay-steps"
  /** The generation begins anew. */
  | "restart"
  /** Servers keep nothing: each token is a pass over the whole text, and a failed send is repeated. */
  | "cacheless"

/** Balancing rules: {@link https://arxiv.org/abs/2312.08361 PETALS'}, ours, ours by region. */
export type BalanceRule = "none" | "petals" | "improve" | "improve-regional"

/** A simulation. Times are in virtual seconds from its start, which is midnight. */
export interface Scenario {
  readonly name: string
  /** What it is about, and where its figures come from. */
  readonly about?: string
  readonly model: {
    readonly blocks: number
    /** Bytes of one token's activations on the wire. */
    readonly tokenBytes: number
  }
  readonly servers: ReadonlyArray<ServerSpec>
  readonly load: ReadonlyArray<LoadSpec>
  /** End of the simulation; sessions that are not over then do not count as finished. @default {when the last session is over} */
  readonly seconds?: number
  /** @default {1} */
  readonly seed?: number
  readonly network: {
    readonly within: LinkSpec
    /** Between regions. @default {as within} */
    readonly between?: LinkSpec
    /** Between two given regions, "a b" with a <= b. */
    readonly pairs?: Readonly<Record<string, LinkSpec>>
    /** Whether hops send to one another, or all back to the client. @default {"chain"} */
    readonly path?: "chain" | "client"
  }
  /** Fixed seconds of a hop besides network and compute. @default {0.0005} */
  readonly overheadSeconds?: number
  readonly failures?: {
    /** Probability that one send fails and its receiver's cache is lost. @default {0} */
    readonly perSend?: number
    /** Seconds until a loss is noticed. @default {0.05} */
    readonly noticeSeconds?: number
    /** A session gives up when no server comes for so long. @default {60} */
    readonly graceSeconds?: number
    readonly blows?: ReadonlyArray<Blow>
  }
  /** @default {"replay"} */
  readonly recovery?: Recovery
  readonly balance?: {
    /** @default {"petals"} */
    readonly rule?: BalanceRule
    /** Mean time between two checks of a server (petals), or of the swarm (improve). @default {120} */
    readonly checkSeconds?: number
    /** Loading the blocks of a new place. @default {20} */
    readonly loadSeconds?: number
    /** Most moves of one plan (improve). @default {2} */
    readonly maxMoves?: number
    /** Count servers at the rates to expect over so many hours, by what earlier days were like; 0: at those of now. @default {0} */
    readonly forecastHours?: number
  }
  readonly routing?: {
    /** What clients know is so old at most. @default {10} */
    readonly staleSeconds?: number
    /** Sessions of one region that follow the same plan before another is made. @default {16} */
    readonly sharedBy?: number
    /** Whether sessions may use a part of a span. @default {true} */
    readonly partial?: boolean
  }
  /** Runs that differ: each replaces top-level fields. @default {one run as it stands} */
  readonly variants?: ReadonlyArray<
    Readonly<Partial<Omit<Scenario, "variants">>> & { readonly name: string; readonly published?: number }
  >
  /** A published figure to print beside, in tokens per second of one session. */
  readonly published?: number
}
