import definition from "../models/definition/default.ts";
import { VirtualServer } from "../server/assembly/virtual-server.ts";
import { qualityBench } from "./quality.ts";

/** `bench quality` over the server of the default definition. */
export const bench = qualityBench((options) => VirtualServer.open({ ...options, definition }));
