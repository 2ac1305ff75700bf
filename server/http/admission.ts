/**
 * Admission of one class of requests: bounded in number, and refused early once the queue in
 * front would cost more than a request may wait. Refusing before a body is read keeps the
 * threads busy with work whose answer still comes in time, so goodput holds under overload.
 *
 * A queue that comes and goes is a burst, and may be long; one that stays is overload, and only
 * adds delay. So the bound is `waitMsMax` until more than a tenth of the latest requests had to be
 * refused, and `standingMsMax` from then until fewer are (two bounds, as in controlled delay:
 * Nichols and Jacobson, 2012; Maurer, Fail at Scale, 2015). That the queue was empty for a moment
 * says nothing here: answers come back in batches, each of which leaves it empty.
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
  /** So many are always let in: an estimate that is wrong can then correct itself. */
  readonly inFlightFloor: number;
  /** Sum of the sizes declared by requests in flight. */
  readonly bytesMax: number;
}

/** Weight of the newest completion. */
const smoothing = 0.05;
/**
 * An interval counts as at most so many times the mean: one completion that stalled must not shut
 * the door, while a hundredfold slowdown is still known after fifteen completions.
 */
const intervalRatioMax = 8;
/** The mean that growth starts from: that of an idle machine may be next to nothing. */
const intervalMsMin = 0.1;
/** Weight of the newest request in the share that was refused: it follows about 50 requests. */
const refusalSmoothing = 0.02;
/** A larger share refused is overload. */
const overloadShare = 0.1;
/** Before the first completion: a guess, so that a burst at start is not let in as a whole. */
const intervalMsStart = 1;

export class Admission {
  readonly #options: AdmissionOptions;
  #inFlight = 0;
  #bytes = 0;
  #intervalMs = intervalMsStart;
  #lastLeftMs = 0;
  #refusedShare = 0;

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

  #note(refused: 0 | 1): void {
    this.#refusedShare += refusalSmoothing * (refused - this.#refusedShare);
  }

  /** True where `enter` would refuse, and then it counts as refused: asked before the body. */
  refuses(bytes: number): boolean {
    const full = this.#isFull(bytes);
    if (full) this.#note(1);
    return full;
  }

  #isFull(bytes: number): boolean {
    const { inFlightMax, inFlightFloor, waitMsMax, standingMsMax, bytesMax } = this.#options;
    if (this.#inFlight >= inFlightMax) return true;
    if (this.#inFlight > 0 && this.#bytes + bytes > bytesMax) return true;
    const bound = this.#refusedShare > overloadShare ? standingMsMax : waitMsMax;
    return this.#inFlight >= inFlightFloor && this.waitMs > bound;
  }

  /** False where the request must be refused; true must be followed by one `leave`. */
  enter(bytes: number): boolean {
    if (this.refuses(bytes)) return false;
    this.#note(0);
    this.#inFlight++;
    this.#bytes += bytes;
    return true;
  }

  leave(request: { bytes: number; enteredMs: number; leftMs: number }): void {
    this.#inFlight--;
    this.#bytes -= request.bytes;
    const interval = request.leftMs - Math.max(this.#lastLeftMs, request.enteredMs);
    const most = intervalRatioMax * Math.max(this.#intervalMs, intervalMsMin);
    const bounded = Math.min(Math.max(interval, 0), most);
    this.#intervalMs += smoothing * (bounded - this.#intervalMs);
    this.#lastLeftMs = request.leftMs;
  }
}
