/**
 * An operating error: something outside the program went wrong, or was asked for wrongly.
 * Programmer errors use `assert`. `code` is `REC_<AREA>_<WHAT>`; `path` names the place of the
 * fault in an input; `fix` is the command or setting that mends it, where there is one.
 */
export class RecError extends Error {
  readonly code: string;
  readonly path: string | undefined;
  readonly fix: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { path?: string; fix?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "RecError";
    this.code = code;
    this.path = options.path;
    this.fix = options.fix;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
