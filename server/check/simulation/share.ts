import type { JoinerRole } from "../../../workers/joiner/worker.ts";
import type { WindowsRole } from "../../../workers/windows/worker.ts";

/** A thread of the windows: the roles of its partitions, which take turns. */
export class WindowsShare {
  readonly roles: readonly WindowsRole[];

  constructor(roles: readonly WindowsRole[]) {
    this.roles = roles;
  }

  get caughtUp(): boolean {
    return this.roles.every((role) => role.caughtUp);
  }

  async step(): Promise<number> {
    return await stepAll(this.roles);
  }

  async checkpoint(): Promise<void> {
    for (const role of this.roles) await role.checkpoint();
  }

  async close(): Promise<void> {
    for (const role of this.roles) await role.close();
  }
}

/** A thread of the joiner, likewise. */
export class JoinerShare {
  readonly roles: readonly JoinerRole[];

  constructor(roles: readonly JoinerRole[]) {
    this.roles = roles;
  }

  async step(): Promise<number> {
    return await stepAll(this.roles);
  }
}

async function stepAll(roles: readonly { step(): Promise<number> }[]): Promise<number> {
  let records = 0;
  for (const role of roles) records += await role.step();
  return records;
}
