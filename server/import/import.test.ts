import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import definition from "../../models/definition/default.ts";
import { run as importCommand } from "../commands/import.ts";
import { EventSorter } from "./event-sorter.ts";
import { withIdentity } from "./identity.ts";
import { jsonlSource } from "./jsonl.ts";
import { mappedSource } from "./mapping.ts";
import { parseMapping, readMapping } from "./mapping-schema.ts";
import { movielensSource } from "./movielens.ts";
import { quotedFields } from "./reading.ts";
import { recboleSource } from "./recbole.ts";
import { runImport } from "./run.ts";
import {
  Faults,
  type ImportDocument,
  type ImportEvent,
  type ImportSink,
  type ImportSource,
} from "./types.ts";

const root = mkdtempSync(join(tmpdir(), "import-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "case-"));
});

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, name.endsWith(".gz") ? gzipSync(text) : text);
  return path;
}

class Kept implements ImportSink {
  readonly documents = new Map<string, ImportDocument>();
  readonly sent: ImportEvent[] = [];
  readonly ids = new Set<string>();

  async items(batch: readonly ImportDocument[]): Promise<void> {
    for (const document of batch) this.documents.set(`item ${document.id}`, document);
  }

  async users(batch: readonly ImportDocument[]): Promise<void> {
    for (const document of batch) this.documents.set(`user ${document.id}`, document);
  }

  async events(batch: readonly ImportEvent[]) {
    const before = this.ids.size;
    for (const event of batch) this.ids.add(event.id);
    this.sent.push(...batch);
    const accepted = this.ids.size - before;
    return { accepted, duplicates: batch.length - accepted };
  }

  summary(): string[] {
    return this.sent.map(({ type, user, item, value }) =>
      [type, user, item, ...(value === undefined ? [] : [value])].join(" "),
    );
  }
}

const nowMs = Date.UTC(2026, 0, 1);
const load = (source: ImportSource, sink: Kept, more = {}) =>
  runImport({ source, sink, definition, nowMs, ...more });

function movielens(ratings: string, gz = false): void {
  const end = gz ? ".gz" : "";
  const movies = [
    "movieId,title,genres",
    '1,"American President, The (1995)",Comedy|Drama|Romance',
    "2,Nameless,(no genres listed)",
    '3,"""Great"" One (1931)",Drama',
  ];
  file(`movies.csv${end}`, `${movies.join("\r\n")}\r\n`);
  file(`ratings.csv${end}`, `userId,movieId,rating,timestamp\n${ratings}`);
}

describe("movielens", () => {
  test("titles, years, genres, tags; ratings become events in the order of time", async () => {
    movielens("7,1,4.0,1500000200\n7,3,3.5,1500000100\n8,1,5.0,1500000000", true);
    const tags = ["7,1,Funny,1", "8,1,funny,2", "8,1,slow,3", "9,2, ,4"];
    file("tags.csv", `userId,movieId,tag,timestamp\n${tags.join("\n")}\n`);
    const sink = new Kept();
    const result = await load(movielensSource(folder), sink);
    expect(sink.documents.get("item 1")).toEqual({
      id: "1",
      title: "American President, The (1995)",
      categories: ["Comedy", "Drama", "Romance"],
      tags: ["funny", "slow"],
      publishedAt: "1995-01-01T00:00:00Z",
    });
    expect(sink.documents.get("item 2")).toEqual({ id: "2", title: "Nameless", categories: [] });
    expect(sink.documents.get("item 3")?.title).toBe('"Great" One (1931)');
    expect(sink.summary()).toEqual([
      ...["impression 8 1", "click 8 1", "finish 8 1", "like 8 1"],
      ...["impression 7 3", "impression 7 1", "click 7 1", "finish 7 1"],
    ]);
    expect(sink.sent[0]?.time).toBe(1_500_000_000_000);
    expect(result).toMatchObject({ items: 3, events: 8, accepted: 8, duplicates: 0 });
    expect(result.lastMs).toBe(1_500_000_200_000);
  });

  test("a second import adds nothing", async () => {
    movielens("7,1,4.0,1500000200\n7,3,1.0,1500000100\n");
    const sink = new Kept();
    await load(movielensSource(folder), sink);
    const again = await load(movielensSource(folder), sink);
    expect(again).toMatchObject({ accepted: 0, duplicates: 4 });
  });

  test("faults name line and field; 20 are shown, all counted, nothing is written", async () => {
    const bad = Array.from({ length: 30 }, (_, i) => `${i},1,six,1500000000`);
    movielens(["7,1,4.0,1500000200", "7,1,4.0", "7,1,4.0,soon", ",1,4.0,1500", ...bad].join("\n"));
    const sink = new Kept();
    const failed = load(movielensSource(folder), sink).catch((error) => error);
    const { code, message } = await failed;
    expect(code).toBe("REC_IMPORT_INVALID");
    expect(message).toContain("ratings.csv:3 row: has 3 fields, not 4");
    expect(message).toContain("ratings.csv:4 timestamp: is soon");
    expect(message).toContain("ratings.csv:6 rating: is six");
    expect(message.split("\n").length).toBe(22);
    const total = Number(/^(\d+) faults/.exec(message)?.[1]);
    expect(total).toBeGreaterThanOrEqual(33);
    expect(message).toContain(`... and ${total - 20} more`);
    expect([sink.documents.size, sink.sent.length]).toEqual([0, 0]);
  });

  test("a time that is no time is refused", async () => {
    movielens("7,1,4.0,1500\n");
    const failed = load(movielensSource(folder), new Kept());
    await expect(failed).rejects.toThrow("ratings.csv:2 time: is before 1990");
  });

  test("history from before the first live event is taken", async () => {
    movielens("7,1,4.0,828124615\n");
    const sink = new Kept();
    await load(movielensSource(folder), sink);
    expect(sink.sent.length).toBe(3);
  });

  test("a missing file, a wrong heading, a user id that is too long", async () => {
    expect(() => movielensSource(folder)).toThrow("holds no movies.csv");
    movielens(`${"x".repeat(300)},1,2.0,1500000000`);
    await expect(load(movielensSource(folder), new Kept())).rejects.toThrow("ratings.csv:2 user:");
    file("ratings.csv", "user,item\n1,2\n");
    await expect(load(movielensSource(folder), new Kept())).rejects.toThrow(
      "ratings.csv:1 heading",
    );
  });
});

describe("recbole", () => {
  test("typed headings, ratings, items, users", async () => {
    const inter = "user_id:token\titem_id:token\trating:float\ttimestamp:float";
    file("a.inter", `${inter}\nu1\ti1\t5\t881250949\nu1\ti2\t2\t881250950.5\n`);
    const item = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq";
    file("a.item.gz", `${item}\ni1\tToy Story\t1995\tAnimation Children's Comedy\ni2\tX\t\t\n`);
    file("a.user", "user_id:token\tage:token\tgender:token\toccupation:token\nu1\t24\tM\twriter\n");
    const sink = new Kept();
    await load(recboleSource(folder), sink);
    expect(sink.documents.get("item i1")).toEqual({
      id: "i1",
      title: "Toy Story",
      categories: ["Animation", "Children's", "Comedy"],
      publishedAt: "1995-01-01T00:00:00Z",
    });
    expect(sink.documents.get("user u1")).toEqual({
      ...{ id: "u1", ageYears: 24, gender: "M", properties: { occupation: "writer" } },
    });
    expect(sink.summary()).toEqual([
      ...["impression u1 i1", "click u1 i1", "finish u1 i1", "like u1 i1", "impression u1 i2"],
    ]);
  });

  test("without ratings a row is an impression and a click; milliseconds are seen", async () => {
    const rows = "user_id:token\titem_id:token\ttimestamp:float\nu\ti\t1649581149287\n";
    const sink = new Kept();
    await load(recboleSource(file("b.inter", rows)), sink);
    expect(sink.summary()).toEqual(["impression u i", "click u i"]);
    expect(sink.sent[0]?.time).toBe(1_649_581_149_287);
  });

  test("an untyped heading and a missing column are faults", async () => {
    const path = file("c.inter", "user_id\titem_id:token\nu\ti\n");
    const failed = load(recboleSource(path), new Kept());
    await expect(failed).rejects.toThrow(
      /user_id: the type must be[\s\S]*timestamp: the column is/,
    );
  });
});

describe("jsonl", () => {
  test("events, items and users as they are; own ids are kept", async () => {
    file("items.ndjson", '{"id":"i1","title":"One","categories":["a"]}\n\n');
    file("users.jsonl", '{"id":"u1","country":"de"}\n');
    const events = [
      { id: "e1", type: "watch", user: "u1", item: "i1", time: 1_700_000_001_000, value: 3.5 },
      { type: "click", user: "u1", item: "i1", time: "2023-11-14T22:13:20Z" },
    ];
    file("events.jsonl.gz", events.map((event) => JSON.stringify(event)).join("\n"));
    const sink = new Kept();
    const result = await load(jsonlSource(folder), sink);
    expect(result).toMatchObject({ items: 1, users: 1, events: 2 });
    expect(sink.summary()).toEqual(["click u1 i1", "watch u1 i1 3.5"]);
    expect(sink.sent[1]?.id).toBe("e1");
    expect(sink.sent[0]?.time).toBe(1_700_000_000_000);
  });

  test("each fault has its line and field", async () => {
    const time = 1_700_000_000_000;
    const bad = [
      "{",
      "[1]",
      JSON.stringify({ type: "click", user: "u", item: "i" }),
      JSON.stringify({ type: "stare", user: "u", item: "i", time }),
      JSON.stringify({ type: "click", user: 5, item: "i", time, mood: "x" }),
      JSON.stringify({ type: "click", user: "u", item: "i", time, value: 2 }),
      JSON.stringify({ type: "click", user: "u", item: "i", time: nowMs + 1e9 }),
    ];
    const failed = load(jsonlSource(file("events.jsonl", bad.join("\n"))), new Kept());
    const message = await failed.then(
      () => "",
      (error) => String(error.message),
    );
    const places = [...message.matchAll(/events\.jsonl:(\d+) (\w+):/g)].map((match) => match[0]);
    expect(places).toEqual([
      ...["events.jsonl:1 line:", "events.jsonl:2 line:", "events.jsonl:3 time:"],
      ...["events.jsonl:4 type:", "events.jsonl:5 mood:", "events.jsonl:5 user:"],
      ...["events.jsonl:6 value:", "events.jsonl:7 time:"],
    ]);
  });
});

describe("a mapping file", () => {
  const heading = [
    ..."user_id video_id date hourmin time_ms is_click is_follow is_comment".split(" "),
    ..."is_forward long_view play_time_ms duration_ms comment_stay_time".split(" "),
    ..."is_profile_enter label timestamp".split(" "),
  ];

  function interactions(rows: readonly Record<string, number>[]): string {
    const lines = rows.map((row) => heading.map((name) => row[name] ?? 0).join("\t"));
    return `${[heading.join("\t"), ...lines].join("\n")}\n`;
  }

  const kuairand = readMapping(join(import.meta.dir, "kuairand.map.json"));

  test("kuairand's columns: click, long view, like, play time", async () => {
    const rows = [
      { user_id: 9, video_id: 5, time_ms: 1_649_581_149_287, is_click: 1, long_view: 1, label: 1 },
      { user_id: 9, video_id: 6, time_ms: 1_649_581_149_287, play_time_ms: 0 },
      { user_id: 8, video_id: 5, time_ms: 1_649_581_149_000, duration_ms: 0 },
    ];
    const [first, ...more] = rows;
    const visited = { play_time_ms: 46_186, duration_ms: 45_916, is_profile_enter: 1 };
    const watched = { ...first, ...visited };
    file("interactions.tsv.gz", interactions([watched, ...more]));
    const sink = new Kept();
    const types = new Set(definition.interactions.map(({ name }) => name));
    await load(mappedSource(folder, kuairand, { types }), sink);
    expect(sink.summary()).toEqual([
      ...["impression 8 5", "impression 9 5", "click 9 5", "watch 9 5 46.186"],
      ...["finish 9 5", "like 9 5", "impression 9 6"],
    ]);
    // The duration is known from the first row; a later 0 means unknown and takes nothing away.
    const known = { durationSeconds: 45.916, categories: ["length4"] };
    expect(sink.documents.get("item 5")).toEqual({ id: "5", ...known });
    expect(sink.documents.get("item 6")).toEqual({ id: "6", categories: ["length"] });
    // Of a definition that knows visits, row by row.
    const wide = mappedSource(folder, kuairand, { rowDocuments: true });
    const rowsRead = [];
    for await (const batch of wide.read(new Faults(), () => {})) rowsRead.push(...batch);
    const said = rowsRead.map(({ value }) => ("type" in value ? value.type : value.categories));
    expect(said.slice(0, 7)).toEqual([
      ...[["length4"], "impression", "click", "watch", "finish", "profileEnter", "like"],
    ]);
    expect(said.slice(9)).toEqual([["length"], "impression"]);
  });

  test("a column that is not there, and a field that is no number", async () => {
    const path = file("interactions.tsv", "user_id\tvideo_id\n1\t2\n");
    const failed = load(mappedSource(path, kuairand), new Kept());
    await expect(failed).rejects.toThrow("interactions.tsv:1 time_ms: the column is missing");
    const text = interactions([{ user_id: 1, video_id: 2, time_ms: 1_649_581_149_000 }]);
    file("interactions.tsv", text.replace("\t0\t0\t0\t0\t0\t0", "\tyes\t0\t0\t0\t0\t0"));
    const again = load(mappedSource(path, kuairand), new Kept());
    await expect(again).rejects.toThrow(/interactions.tsv:2 \w+: is yes: must be a number/);
  });

  test("a wrong mapping is refused with its place", () => {
    const wrong = { files: [{ file: "a.csv", events: { user: "u", item: "i", time: "t" } }] };
    expect(() => parseMapping(JSON.stringify(wrong))).toThrow("files[0].events.emit is required");
    expect(() => parseMapping("{")).toThrow("is no JSON");
  });

  test("separators, lists, units and bounds", async () => {
    const mapping = parseMapping(
      JSON.stringify({
        files: [
          {
            file: "log.csv",
            separator: ";",
            items: { id: "what", title: "title", categories: { column: "kinds", split: "," } },
            events: {
              ...{ user: "who", item: "what", time: "when", timeUnit: "rfc3339" },
              emit: [
                { type: "click", when: { column: "how", equals: "tap" } },
                { type: "like", when: { column: "stars", atLeast: 4, below: 6 } },
                { type: "convert", when: { column: "paid", above: 0 }, value: "paid" },
              ],
            },
          },
        ],
      }),
    );
    const rows = [
      "who;what;when;how;stars;paid;title;kinds",
      'a;x;2023-01-01T00:00:00Z;tap;4;;"Semi;colon";p, q',
      "b;x;2023-01-01T00:00:01Z;look;6;2.5;;",
    ];
    const sink = new Kept();
    await load(mappedSource(file("log.csv", rows.join("\n")), mapping), sink);
    expect(sink.summary()).toEqual(["click a x", "like a x", "convert b x 2.5"]);
    expect(sink.documents.get("item x")).toEqual({
      ...{ id: "x", title: "Semi;colon", categories: ["p", "q"] },
    });
  });
});

describe("reading and sorting", () => {
  test("quotes: separators, doubled quotes, line ends, a quote never closed", async () => {
    expect(quotedFields('a,"b,c",""', ",")).toEqual(["a", "b,c", ""]);
    expect(quotedFields('"x ""y""",', ",")).toEqual(['x "y"', ""]);
    expect(quotedFields('"x', ",")).toBeNull();
    movielens("7,1,4.0,1500000200\n");
    file("movies.csv", 'movieId,title,genres\n1,"Two\nlines (2001)",Drama\n2,B,War\n');
    const sink = new Kept();
    await load(movielensSource(folder), sink);
    expect(sink.documents.get("item 1")?.title).toBe("Two\nlines (2001)");
    file("movies.csv", 'movieId,title,genres\n1,"Open,Drama\n');
    await expect(load(movielensSource(folder), sink)).rejects.toThrow("a quote is never closed");
  });

  test("bytes that are no UTF-8 are refused with their place", async () => {
    movielens("7,1,4.0,1500000200\n");
    writeFileSync(join(folder, "movies.csv"), Buffer.from([0x61, 0x0a, 0xff, 0xfe, 0x0a]));
    await expect(load(movielensSource(folder), new Kept())).rejects.toThrow("movies.csv, after");
  });

  test("runs that spill to files come out as one order, ties as they came", async () => {
    const sorter = new EventSorter(100);
    const times = Array.from({ length: 1_050 }, (_, i) => (i * 7919) % 97);
    for (const [i, time] of times.entries()) {
      await sorter.add(withIdentity({ type: "click", user: `${i}`, item: "x", time }));
    }
    const out: ImportEvent[] = [];
    for await (const event of sorter.sorted()) out.push(event);
    sorter.close();
    const expected = times
      .map((time, i) => ({ time, i }))
      .sort((a, b) => a.time - b.time || a.i - b.i);
    expect(out.map(({ user }) => Number(user))).toEqual(expected.map(({ i }) => i));
  });
});

describe("the command", () => {
  test("imports over HTTP, sends a busy batch again, says what it did", async () => {
    movielens("7,1,4.0,1500000200\n");
    const posts: string[] = [];
    let busy = 1;
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const elements = JSON.parse(await request.text());
        if (busy-- > 0) return new Response("busy", { status: 503 });
        posts.push(`${new URL(request.url).pathname} ${elements.length}`);
        return Response.json({ accepted: elements.length, duplicates: 0, rejected: [] });
      },
    });
    const texts: string[] = [];
    const write = (text: string) => void texts.push(text);
    const url = `http://127.0.0.1:${server.port}`;
    await importCommand(["--format", "movielens", folder, "--url", url], { write });
    await server.stop(true);
    expect(posts).toEqual(["/v1/items 3", "/v1/events 3"]);
    expect(texts.at(-1)).toStartWith("3 items, 0 users, 3 events from 2017-07-14 to 2017-07-14");
  });

  test("a refused batch stops the import; options are checked", async () => {
    movielens("7,1,4.0,1500000200\n");
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => Response.json({ error: { code: "REC_INPUT_TYPE" } }, { status: 400 }),
    });
    const url = `http://127.0.0.1:${server.port}`;
    const args = ["--format", "movielens", folder, "--url", url];
    await expect(importCommand(args, { write: () => {} })).rejects.toThrow("answered 400");
    await server.stop(true);
    await expect(importCommand(["--format", "xml", folder])).rejects.toThrow("--format is xml");
    await expect(importCommand([])).rejects.toThrow("one PATH is needed");
  });
});
