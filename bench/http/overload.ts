import type { Figure } from "../harness.ts";
import { type Answer, LoadClient, openLoop, type Sample } from "../open-loop.ts";
import { percentile } from "../statistics.ts";

const sliceMs = 250;

/**
 * Five times the load that the server can bear, then at once 70 % of it again: how much good work
 * goes on, how fast the rest is refused, and how long until all is as before.
 */
export async function overloadFigures(load: {
  port: number;
  /** Good slates a second at the peak of the closed loop. */
  perSecond: number;
  /** p99 at 70 % load. */
  steadyMsP99: number;
  seconds: number;
  next: (index: number) => Uint8Array;
  isGood: (answer: Answer) => boolean;
}): Promise<Record<string, Figure>> {
  const client = new LoadClient({ port: load.port, connectionsMax: 1_024, keepBodies: true });
  await client.open(1_024);
  const { next, perSecond, seconds, isGood } = load;
  const flood = { ratePerSecond: 5 * perSecond, seconds, next, isGood, drainMs: 0 };
  const cpu = process.cpuUsage();
  const storm = await openLoop(client, flood);
  const { user, system } = process.cpuUsage(cpu);
  const after = await openLoop(client, {
    ...flood,
    ratePerSecond: 0.7 * perSecond,
    drainMs: 3_000,
  });
  client.close();
  const accepted = storm.samples.filter(({ good }) => good);
  const refused = storm.samples.filter(({ status }) => status === 503);
  const others = storm.samples.filter(({ status }) => status !== 200 && status !== 503).length;
  const p99 = (samples: readonly Sample[]) =>
    percentile(
      samples.map(({ latencyMs }) => latencyMs),
      0.99,
    );
  return {
    overloadGoodputShare: { value: accepted.length / seconds / perSecond, unit: "share" },
    overloadDegraded: {
      value: storm.samples.filter(({ good, status }) => status === 200 && !good).length,
      unit: "requests",
    },
    overloadAcceptedMsP99: { value: p99(accepted), unit: "ms" },
    overloadClientLateMsP99: { value: percentile(storm.clientLateMs, 0.99), unit: "ms" },
    overloadClientCpuShare: { value: (user + system) / 1e6 / seconds, unit: "cores" },
    overloadRefusalMsP99: { value: p99(refused), unit: "ms" },
    overloadAcceptedMsP99Ratio: { value: p99(accepted) / load.steadyMsP99, unit: "ratio" },
    overloadOtherAnswers: { value: others, unit: "requests" },
    overloadRecoverySeconds: {
      value: recoverySeconds(after.samples, 2 * load.steadyMsP99, seconds),
      unit: "s",
    },
  };
}

/** The end of the last quarter of a second in which an answer failed or p99 was over the bound. */
export function recoverySeconds(
  samples: readonly Sample[],
  boundMs: number,
  seconds: number,
): number {
  let last = 0;
  for (let fromMs = 0; fromMs < seconds * 1_000; fromMs += sliceMs) {
    const slice = samples.filter(({ atMs }) => atMs >= fromMs && atMs < fromMs + sliceMs);
    const failed = slice.some(({ good }) => !good);
    const slow =
      percentile(
        slice.map(({ latencyMs }) => latencyMs),
        0.95,
      ) > boundMs;
    if (failed || slow) last = (fromMs + sliceMs) / 1_000;
  }
  return last;
}
