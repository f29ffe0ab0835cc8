/** Views for tests: each a plain one with what the test cares about. */
import type {
  IGpu,
  IInstance,
  ILease,
  INode,
  IOverview,
  IReading,
  IReadings
} from '../src/views.js';

export function gpu(parts: Partial<IGpu> = {}): IGpu {
  return {
    uuid: 'GPU-0',
    index: 0,
    name: 'NVIDIA A100-SXM4-40GB',
    memoryBytes: 40 * 2 ** 30,
    units: 8,
    mode: 'dynamic',
    instances: [],
    rooms: [],
    problem: '',
    nextStep: '',
    notes: [],
    ...parts
  };
}

export function instance(parts: Partial<IInstance> = {}): IInstance {
  return {
    instanceId: 'i1',
    profile: '1g.5gb',
    memoryBytes: 5 * 2 ** 30,
    state: 'held',
    start: 0,
    width: 1,
    leaseId: null,
    label: '',
    mine: false,
    ...parts
  };
}

export function lease(parts: Partial<ILease> = {}): ILease {
  return {
    leaseId: 'l1',
    kernelId: 'k1',
    state: 'bound',
    size: '1g.5gb',
    label: 'work/train.ipynb',
    heldSeconds: 1,
    slice: {
      profile: '1g.5gb',
      memoryBytes: 5 * 2 ** 30,
      multiprocessors: 14,
      gpuIndex: 0,
      gpuName: 'NVIDIA A100-SXM4-40GB'
    },
    place: null,
    estimateSeconds: null,
    givesUpInSeconds: null,
    overQuota: '',
    rule: '',
    endsInSeconds: null,
    ...parts
  };
}

export function waiting(parts: Partial<ILease> = {}): ILease {
  return lease({ state: 'waiting', slice: null, place: 2, ...parts });
}

export function reading(parts: Partial<IReading> = {}): IReading {
  return {
    instanceId: 'i1',
    memoryUsedBytes: 2 ** 30,
    memoryTotalBytes: 4 * 2 ** 30,
    memoryNotAvailable: '',
    utilization: {},
    utilizationSource: '',
    utilizationNotAvailable: '',
    processes: null,
    processesNotAvailable: '',
    ...parts
  };
}

export function readings(...slices: IReading[]): IReadings {
  return { slices, gpus: [] };
}

export function overview(
  leases: readonly ILease[],
  node: Partial<INode> = {},
  parts: Partial<IOverview> = {}
): IOverview {
  return {
    node: {
      simulated: true,
      gpus: [gpu()],
      sizes: [],
      waiting: 0,
      allowance: null,
      allowanceNotAvailable: '',
      ...node
    },
    leases,
    readings: null,
    readingsNotAvailable: '',
    ...parts
  };
}
