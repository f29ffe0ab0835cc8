/** What the server's event bus says about slices. */
import type { Event } from '@jupyterlab/services';

import type { Decoder } from './decode.js';
import { DecodeError, object, text, withDefault, word } from './decode.js';

/** Of later versions we know nothing: they are passed over. */
const SCHEMAS = ['urn:jupyter-mig:slice:v1', 'https://jupyter-mig/slice/v1'];

export const KINDS = [
  'granted',
  'waiting',
  'refused',
  'released',
  'lost',
  'nearly-full',
  'idle'
] as const;

export type Kind = (typeof KINDS)[number];

export interface INews {
  readonly kind: Kind;
  readonly kernelId: string;
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
  if (!SCHEMAS.includes(emission.schema_id)) {
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
