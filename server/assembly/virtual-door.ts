import type { Clock } from "../../models/core/clock.ts";
import type { RecommenderDefinition } from "../../models/definition/define.ts";
import { App } from "../http/app.ts";
import { Gate, loopbackNames } from "../http/auth.ts";
import type { DoorPorts } from "../http/ports.ts";
import { type Door, serve } from "../http/serve.ts";
import type { Log } from "../log.ts";

/** The server's own door on a free port of loopback, under the clock of what is behind it. */
export function openVirtualDoor(options: {
  readonly definition: RecommenderDefinition;
  readonly ports: DoorPorts;
  readonly clock: Clock;
  readonly log: Log;
}): Door {
  const gate = new Gate({ token: null, names: loopbackNames });
  const app = new App({ ...options, gate });
  return serve({ app, host: "127.0.0.1", port: 0, hasToken: false });
}
