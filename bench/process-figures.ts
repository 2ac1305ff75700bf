import { readdirSync, readFileSync } from "node:fs";

/** What a process costs, from Linux's /proc. */

const ticksPerSecond = 100;

/** utime + stime in the text of a `stat` file. The second field may hold spaces. */
function cpuSecondsIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Processor seconds of a process so far, every thread of it. */
export function cpuSecondsOf(pid: number): number {
  return cpuSecondsIn(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** The same by the threads' names; threads of one name are one entry. */
export function cpuSecondsByThread(pid: number): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
      const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
      seconds.set(name, (seconds.get(name) ?? 0) + cpuSecondsIn(stat));
    } catch {
      // It ended while the folder was read.
    }
  }
  return seconds;
}

/** Anonymous memory in use, MB (10^6 bytes): `RssAnon` of the status file. */
export function anonymousMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(/^RssAnon:\s*(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) * 1_024) / 1e6;
}

/** Memory with no file behind it, MB (10^6 bytes): `RssAnon` + `RssShmem`. */
export function memoryMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const shared = Number(/^RssShmem:\s*(\d+) kB/m.exec(status)?.[1] ?? Number.NaN);
  return anonymousMb(pid) + (shared * 1_024) / 1e6;
}

/** Mappings of `least` MB in memory and more that have no file behind them: MB by address. */
export function anonymousMappings(pid: number, least = 0.5): Map<string, number> {
  const found = new Map<string, number>();
  let name = "";
  for (const line of readFileSync(`/proc/${pid}/smaps`, "utf8").split("\n")) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
    if (from !== undefined && to !== undefined) {
      const mb = (Number.parseInt(to, 16) - Number.parseInt(from, 16)) / 1e6;
      name = `${from}, ${mb.toFixed(0)} MB reserved`;
    }
    const kb = Number(/^Anonymous:\s+(\d+) kB/.exec(line)?.[1] ?? 0);
    if (kb * 1_024 >= least * 1e6) found.set(name, (kb * 1_024) / 1e6);
  }
  return found;
}

/** Mappings by the file behind them, for files whose path holds `part`. */
export function mappingsOf(pid: number, part: string): Map<string, number> {
  const count = new Map<string, number>();
  for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
    const path = line.slice(line.indexOf("/"));
    if (line.includes("/") && path.includes(part)) count.set(path, (count.get(path) ?? 0) + 1);
  }
  return count;
}
