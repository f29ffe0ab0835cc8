/**
 * Decoding of JSON from the server: what is there must be of the right type, fields we do not know
 * are passed over, so that a server newer than this page is understood.
 */

/** A value that is not what the server promises. */
export class DecodeError extends Error {
  constructor(path: string, wanted: string) {
    super(`${path || 'the answer'} is not ${wanted}`);
    this.name = 'DecodeError';
  }
}

/** Turns a JSON value into a T. Throws {@link DecodeError}; `path` says where. */
export type Decoder<T> = (value: unknown, path?: string) => T;

export const text: Decoder<string> = (value, path = '') => {
  if (typeof value !== 'string') {
    throw new DecodeError(path, 'text');
  }
  return value;
};

export const number: Decoder<number> = (value, path = '') => {
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new DecodeError(path, 'a number');
  }
  return value;
};

export const truth: Decoder<boolean> = (value, path = '') => {
  if (typeof value !== 'boolean') {
    throw new DecodeError(path, 'true or false');
  }
  return value;
};

/** The decoder's value, or null where the server says null or nothing. */
export function maybe<T>(inner: Decoder<T>): Decoder<T | null> {
  return (value, path = '') => (value === null || value === undefined ? null : inner(value, path));
}

/** The decoder's value, or `fallback` where the server (an older one) says nothing. */
export function withDefault<T>(inner: Decoder<T>, fallback: T): Decoder<T> {
  return (value, path = '') => (value === undefined ? fallback : inner(value, path));
}

export function list<T>(inner: Decoder<T>): Decoder<readonly T[]> {
  return (value, path = '') => {
    if (!Array.isArray(value)) {
      throw new DecodeError(path, 'a list');
    }
    return value.map((each: unknown, index) => inner(each, `${path}[${index}]`));
  };
}

/** An object whose names are data, as they are on the wire. */
export function record<T>(inner: Decoder<T>): Decoder<Readonly<Record<string, T>>> {
  return (value, path = '') => {
    if (!isObject(value)) {
      throw new DecodeError(path, 'an object');
    }
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([name, each]) => [name, inner(each, `${path}.${name}`)])
    );
  };
}

/** One of the words, or `other` for a word that a newer server has. */
export function word<T extends string, U extends string>(
  words: readonly T[],
  other: U
): Decoder<T | U> {
  return (value, path = '') => {
    const found = text(value, path);
    return words.find(each => each === found) ?? other;
  };
}

/** An object whose fields are called `likeThis` here and `like_this` on the wire. */
export function object<T extends object>(fields: {
  [K in keyof T]: Decoder<T[K]>;
}): Decoder<T> {
  return (value, path = '') => {
    if (!isObject(value)) {
      throw new DecodeError(path, 'an object');
    }
    const decoded: Partial<T> = {};
    for (const name in fields) {
      const wireName = snakeCase(name);
      const where = path ? `${path}.${wireName}` : wireName;
      decoded[name] = fields[name](value[wireName], where);
    }
    return decoded as T;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
}
