/** Writes the protobuf wire format: fields in the order of the calls. Field 0 does not exist. */
export class ProtobufWriter {
  readonly #parts: Uint8Array[] = [];

  /** An integer from 0 to 2^53 - 1. */
  integer(field: number, value: number): this {
    this.#parts.push(varint(field * 8), varint(value));
    return this;
  }

  float(field: number, value: number): this {
    this.#parts.push(varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(varint(field * 8 + 2), varint(value.length), value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, new TextEncoder().encode(value));
  }

  message(field: number, fill: (inner: ProtobufWriter) => void): this {
    const inner = new ProtobufWriter();
    fill(inner);
    return this.bytes(field, inner.finish());
  }

  /** Everything that another writer holds, behind what is here. */
  append(other: ProtobufWriter): this {
    this.#parts.push(...other.#parts);
    return this;
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

function varint(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128);
  out.push(rest);
  return Uint8Array.from(out);
}
