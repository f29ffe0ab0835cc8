/**
 * What the server tells: the views of `jupyter_mig/wire/messages.py`, as far as they are shown.
 * Sizes in bytes, times in seconds relative to the answer.
 */
import { list, maybe, number, object, record, text, truth, withDefault, word } from './decode.js';
import type { Decoder } from './decode.js';

export interface IProblem {
  readonly kind: string;
  readonly message: string;
  readonly situation: string;
  readonly nextStep: string;
}

export interface ISlice {
  readonly profile: string;
  readonly memoryBytes: number;
  readonly multiprocessors: number;
  readonly gpuIndex: number;
  readonly gpuName: string;
}

const LEASE_STATES = [
  'waiting',
  'creating',
  'doomed',
  'granted',
  'bound',
  'orphaned',
  'draining',
  'released'
] as const;

export type LeaseState = (typeof LEASE_STATES)[number] | 'unknown';

export interface ILease {
  readonly leaseId: string;
  readonly kernelId: string;
  readonly state: LeaseState;
  readonly size: string;
  readonly label: string;
  readonly heldSeconds: number;
  readonly slice: ISlice | null;
  /** 1 is the head of the line; null: does not wait. */
  readonly place: number | null;
  /** null: nobody can know. */
  readonly estimateSeconds: number | null;
  readonly givesUpInSeconds: number | null;
  /** Why it waits, if it is for its owner to give something back; empty: it is not. */
  readonly overQuota: string;
  /** The administrator's rule that it is under; empty: none. */
  readonly rule: string;
  /** Until that rule ends it, whatever runs on it; null: it does not. */
  readonly endsInSeconds: number | null;
}

const INSTANCE_STATES = [
  'creating',
  'claiming',
  'held',
  'idle',
  'destroying',
  'condemned',
  'unresolved',
  'outside'
] as const;

export type InstanceState = (typeof INSTANCE_STATES)[number] | 'unknown';

export interface IInstance {
  readonly instanceId: string;
  readonly profile: string;
  readonly memoryBytes: number;
  readonly state: InstanceState;
  /** In memory units of its GPU; null where the server may not learn it. */
  readonly start: number | null;
  readonly width: number | null;
  readonly leaseId: string | null;
  readonly label: string;
  readonly mine: boolean;
}

/** Neighbouring free memory units, and which sizes could be made there now. */
export interface IRoom {
  readonly start: number;
  readonly width: number;
  readonly sizes: readonly string[];
}

export interface IGpu {
  readonly uuid: string;
  readonly index: number;
  readonly name: string;
  readonly memoryBytes: number;
  readonly units: number;
  readonly mode: 'dynamic' | 'static' | 'unusable' | 'unknown';
  readonly instances: readonly IInstance[];
  readonly rooms: readonly IRoom[];
  readonly problem: string;
  readonly nextStep: string;
  /** What else there is to know of it. */
  readonly notes: readonly string[];
}

export interface ISize {
  readonly size: string;
  /** So many more the user could start now. */
  readonly free: number;
  /** So many are free on the node, whoever may have them; null: not known. */
  readonly unclaimed: number | null;
  /** The rule that never allows it to the user; empty: he may have it. */
  readonly notAllowed: string;
  /** What he must give back first; empty: nothing. */
  readonly overQuota: string;
  /** His leases in place of which he may have it although he holds all he may. */
  readonly insteadOf: readonly string[];
  readonly total: number;
  readonly memoryBytes: number;
  readonly multiprocessors: number;
}

/** What an administrator's rule allows the user, and what he holds, in words. */
export interface IAllowance {
  readonly rule: string;
  readonly allows: string;
  readonly holds: string;
}

export interface INode {
  readonly simulated: boolean;
  readonly gpus: readonly IGpu[];
  readonly sizes: readonly ISize[];
  /** Everybody's requests that wait. */
  readonly waiting: number;
  /** null: no rule limits the user, or it is not known, for the reason beside. */
  readonly allowance: IAllowance | null;
  readonly allowanceNotAvailable: string;
}

export interface IReading {
  readonly instanceId: string;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryNotAvailable: string;
  /** Per cent by what was measured: `sm`, `graphics`, `tensor`, `dram`. Empty: not available. */
  readonly utilization: Readonly<Record<string, number>>;
  readonly utilizationSource: string;
  readonly utilizationNotAvailable: string;
  /** CUDA processes on the slice. */
  readonly processes: number | null;
  readonly processesNotAvailable: string;
}

/** Of a whole GPU: all its slices share it. */
export interface IGpuReading {
  readonly gpuUuid: string;
  readonly powerWatts: number | null;
  readonly temperatureCelsius: number | null;
  readonly notAvailable: string;
}

export interface IReadings {
  readonly slices: readonly IReading[];
  readonly gpus: readonly IGpuReading[];
}

/** Everything at one moment. */
export interface IOverview {
  readonly node: INode;
  readonly leases: readonly ILease[];
  /** null: nothing could be read, for the reason in `readingsNotAvailable`. */
  readonly readings: IReadings | null;
  readonly readingsNotAvailable: string;
}

/** A slice as it was `ageSeconds` before the answer. */
export interface IHistoryPoint {
  readonly ageSeconds: number;
  readonly memoryUsedBytes: number | null;
  readonly utilization: number | null;
}

export interface ILeaseHistory {
  readonly leaseId: string;
  /** The oldest first. */
  readonly points: readonly IHistoryPoint[];
}

/** The last minutes of the user's own slices. */
export interface IHistory {
  readonly stepSeconds: number;
  readonly leases: readonly ILeaseHistory[];
}

export const problem: Decoder<IProblem> = object<IProblem>({
  kind: text,
  message: text,
  situation: withDefault(text, ''),
  nextStep: withDefault(text, '')
});

const slice = object<ISlice>({
  profile: text,
  memoryBytes: number,
  multiprocessors: number,
  gpuIndex: number,
  gpuName: text
});

const lease = object<ILease>({
  leaseId: text,
  kernelId: text,
  state: word(LEASE_STATES, 'unknown'),
  size: text,
  label: text,
  heldSeconds: number,
  slice: maybe(slice),
  place: maybe(number),
  estimateSeconds: maybe(number),
  givesUpInSeconds: maybe(number),
  overQuota: withDefault(text, ''),
  rule: withDefault(text, ''),
  endsInSeconds: maybe(number)
});

const instance = object<IInstance>({
  instanceId: withDefault(text, ''),
  profile: text,
  memoryBytes: number,
  state: word(INSTANCE_STATES, 'unknown'),
  start: maybe(number),
  width: maybe(number),
  leaseId: maybe(text),
  label: withDefault(text, ''),
  mine: withDefault(truth, false)
});

const room = object<IRoom>({
  start: number,
  width: number,
  sizes: withDefault(list(text), [])
});

const gpu = object<IGpu>({
  uuid: text,
  index: number,
  name: text,
  memoryBytes: number,
  units: number,
  mode: word(['dynamic', 'static', 'unusable'], 'unknown'),
  instances: withDefault(list(instance), []),
  rooms: withDefault(list(room), []),
  problem: withDefault(text, ''),
  nextStep: withDefault(text, ''),
  notes: withDefault(list(text), [])
});

const size = object<ISize>({
  size: text,
  free: number,
  unclaimed: maybe(number),
  notAllowed: withDefault(text, ''),
  overQuota: withDefault(text, ''),
  insteadOf: withDefault(list(text), []),
  total: number,
  memoryBytes: number,
  multiprocessors: number
});

const node = object<INode>({
  simulated: truth,
  gpus: list(gpu),
  sizes: list(size),
  waiting: number,
  allowance: maybe(object<IAllowance>({ rule: text, allows: text, holds: text })),
  allowanceNotAvailable: withDefault(text, '')
});

const reading = object<IReading>({
  instanceId: text,
  memoryUsedBytes: maybe(number),
  memoryTotalBytes: maybe(number),
  memoryNotAvailable: withDefault(text, ''),
  utilization: withDefault(record(number), {}),
  utilizationSource: withDefault(text, ''),
  utilizationNotAvailable: withDefault(text, ''),
  processes: maybe(number),
  processesNotAvailable: withDefault(text, '')
});

const gpuReading = object<IGpuReading>({
  gpuUuid: text,
  powerWatts: maybe(number),
  temperatureCelsius: maybe(number),
  notAvailable: withDefault(text, '')
});

const readings = object<IReadings>({
  slices: list(reading),
  gpus: withDefault(list(gpuReading), [])
});

export const overview: Decoder<IOverview> = object<IOverview>({
  node,
  leases: list(lease),
  readings: maybe(readings),
  readingsNotAvailable: withDefault(text, '')
});

const historyPoint = object<IHistoryPoint>({
  ageSeconds: number,
  memoryUsedBytes: maybe(number),
  utilization: maybe(number)
});

export const history: Decoder<IHistory> = object<IHistory>({
  stepSeconds: number,
  leases: list(
    object<ILeaseHistory>({ leaseId: text, points: withDefault(list(historyPoint), []) })
  )
});

/** The kernel that a notebook has after its size was changed. */
export interface ISwitched {
  readonly kernelId: string;
  readonly kernelspec: string;
  readonly size: string;
}

export const switched: Decoder<ISwitched> = object<ISwitched>({
  kernelId: text,
  kernelspec: withDefault(text, ''),
  size: withDefault(text, '')
});
