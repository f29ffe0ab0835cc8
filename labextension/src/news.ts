/** What the server's event bus says about slices. */
import type { Event } from '@jupyterlab/services';

import type { Decoder } from './decode.js';
import { DecodeError, object, text, withDefault, word } from './decode.js';

/** As in `jupyter_mig/server/schemas/slice.yaml`. Of later versions we know nothing. */
const SCHEMA = 'urn:jupyter-mig:slice:v1';

export const KINDS = [
  'granted',
  'waiting',
  'refused',
  'released',
  'lost',
  'nearly-full',
  'idle',
  'ending'
] as const;

export type Kind = (typeof KINDS)[number];

export interface INews {
  readonly kind: Kind;
  readonly kernelId: string;
  /** Empty if it never had one. */
  readonly leaseId: string;
  readonly size: string;
  readonly label: string;
  /** One sentence. */
  readonly message: string;
  /** Another one, or nothing. */
  readonly nextStep: string;
}

type IRaw = Omit<INews, 'kind'> & { readonly kind: Kind | 'unknown' };

const raw: Decoder<IRaw> = object<IRaw>({
  kind: word(KINDS, 'unknown'),
  kernelId: withDefault(text, ''),
  leaseId: text,
  size: withDefault(text, ''),
  label: withDefault(text, ''),
  message: text,
  nextStep: withDefault(text, '')
});

/** null: it is about something else, or of a version that says it in other words. */
export function newsIn(emission: Event.Emission): INews | null {
  if (emission.schema_id !== SCHEMA) {
    return null;
  }
  try {
    const { kind, ...rest } = raw(emission);
    return kind === 'unknown' ? null : { kind, ...rest };
  } catch (error) {
    if (error instanceof DecodeError) {
      return null;
    }
    throw error;
  }
}
