/**
 * Admission of one class of requests: bounded in number, and refused early once the queue in
 * front would cost more than a request may wait. Refusing before a body is read keeps the
 * threads busy with work whose answer still comes in time, so goodput holds under overload.
 *
 * A queue that comes and goes is a burst, and may be long; a queue that stays is overload, and
 * only adds delay. So the bound is `waitMsMax` while the queue has been next to empty at some
 * moment of the last `calmMs`, and `standingMsMax` otherwise (controlled delay: Nichols and
 * Jacobson, 2012; with these two bounds: Maurer, Fail at Scale, 2015).
 *
 * Wait estimate: requests in flight x the smoothed time between completions. A completion's time
 * counts from the later of its own arrival and the completion before it, so that idle time is not
 * taken for slowness (one server, first come first served: Lindley's recursion).
 */

export interface AdmissionOptions {
  readonly inFlightMax: number;
  /** Estimated wait above which a request is refused, ms. */
  readonly waitMsMax: number;
  /** The same while a queue stands. */
  readonly standingMsMax: number;
  /** A queue that was never next to empty for so long stands. */
  readonly calmMs: number;
  /** So many are always let in: an estimate that is wrong can then correct itself. */
  readonly inFlightFloor: number;
  /** Sum of the sizes declared by requests in flight. */
  readonly bytesMax: number;
}

/** Weight of the newest completion. */
const smoothing = 0.05;
/** One stalled completion must not shut the door for long. */
const intervalMsMax = 250;
/** A wait of this share of the standing bound is next to no queue. */
const emptyShare = 0.25;
/** Before the first completion: a guess, so that a burst at start is not let in as a whole. */
const intervalMsStart = 1;

export class Admission {
  readonly #options: AdmissionOptions;
  #inFlight = 0;
  #bytes = 0;
  #intervalMs = intervalMsStart;
  #lastLeftMs = 0;
  /** When a completion last left next to no queue behind. */
  #emptyAtMs = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** How long a request that comes in now would wait. */
  get waitMs(): number {
    return this.#inFlight * this.#intervalMs;
  }

  get #stands(): boolean {
    return this.#lastLeftMs - this.#emptyAtMs > this.#options.calmMs;
  }

  /** Would `enter` refuse? Changes nothing: asked before the body is read. */
  isFull(bytes: number): boolean {
    const { inFlightMax, inFlightFloor, waitMsMax, standingMsMax, bytesMax } = this.#options;
    if (this.#inFlight >= inFlightMax) return true;
    if (this.#inFlight > 0 && this.#bytes + bytes > bytesMax) return true;
    const bound = this.#stands ? Math.min(standingMsMax, waitMsMax) : waitMsMax;
    return this.#inFlight >= inFlightFloor && this.waitMs > bound;
  }

  /** False where the request must be refused; true must be followed by one `leave`. */
  enter(bytes: number): boolean {
    if (this.isFull(bytes)) return false;
    this.#inFlight++;
    this.#bytes += bytes;
    return true;
  }

  leave(request: { bytes: number; enteredMs: number; leftMs: number }): void {
    this.#inFlight--;
    this.#bytes -= request.bytes;
    const interval = request.leftMs - Math.max(this.#lastLeftMs, request.enteredMs);
    const bounded = Math.min(Math.max(interval, 0), intervalMsMax);
    this.#intervalMs += smoothing * (bounded - this.#intervalMs);
    const isFirst = this.#lastLeftMs === 0;
    this.#lastLeftMs = request.leftMs;
    const { standingMsMax } = this.#options;
    if (isFirst || this.waitMs <= emptyShare * standingMsMax) this.#emptyAtMs = request.leftMs;
  }
}
