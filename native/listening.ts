import { loadNative } from "./load.ts";

/**
 * New connections to a TCP port that this process listens on are refused from now on; those that
 * are open go on, idle ones too. Returns how many sockets listened.
 */
export function refuseConnections(port: number): number {
  return loadNative<{ refuseConnections(port: number): number }>().refuseConnections(port);
}
