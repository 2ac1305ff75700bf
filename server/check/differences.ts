/** Keeps the first differences and counts all. */
export class Differences {
  readonly shown: string[] = [];
  total = 0;
  readonly #shownMax: number;

  constructor(shownMax: number) {
    this.#shownMax = shownMax;
  }

  add(text: string): void {
    this.total++;
    if (this.shown.length < this.#shownMax) this.shown.push(text);
  }
}

/** What was compared under one name. */
export interface Compared {
  readonly what: string;
  readonly rows: number;
  readonly differing: number;
}
