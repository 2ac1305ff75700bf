import type { NetworkParts } from "../layers/input-layer.ts";
import type { RankerLayout } from "./layout.ts";
import { MmoeNetwork } from "./mmoe.ts";
import type { RankerNetwork } from "./network.ts";
import { PleNetwork } from "./ple.ts";

/** The network that a layout describes. */
export function createNetwork(parts: NetworkParts, layout: RankerLayout): RankerNetwork {
  return layout.model === "ple" ? new PleNetwork(parts, layout) : new MmoeNetwork(parts, layout);
}
