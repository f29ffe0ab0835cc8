/** Kernelspecs and sizes for tests. */
import type { KernelSpec } from '@jupyterlab/services';

import type { ISize } from '../src/views.js';

const PROFILES = ['1g.5gb', '2g.10gb', '3g.20gb', '7g.40gb'];

/** How many are free of each, and what else is said of all of them. */
export function sizes(free: Readonly<Record<string, number>>, parts: Partial<ISize> = {}): ISize[] {
  return Object.entries(free).map(([size, count]) => ({
    size,
    free: count,
    unclaimed: count,
    notAllowed: '',
    overQuota: '',
    insteadOf: [],
    total: 7,
    memoryBytes: 5 * 2 ** 30,
    multiprocessors: 14,
    ...parts
  }));
}

/** Plain kernels, each in all sizes; `requests` are what sizes ask for, if not for themselves. */
export function kernelspecs(
  name: string,
  requests: Readonly<Record<string, string>> = {},
  ...others: readonly string[]
): KernelSpec.ISpecModels & { kernelspecs: Record<string, KernelSpec.ISpecModel> } {
  const all = [name, ...others].flatMap(base => [
    spec(base, base, {}),
    ...[...PROFILES].reverse().map(profile => sized(base, profile, requests[profile] ?? profile))
  ]);
  return { default: name, kernelspecs: Object.fromEntries(all.map(each => [each.name, each])) };
}

function sized(base: string, profile: string, size: string): KernelSpec.ISpecModel {
  return spec(`${base}-mig-${profile}`, `${base} (${profile})`, {
    jupyter_mig: { profile, base, memory_bytes: 5 * 2 ** 30 },
    kernel_provisioner: { provisioner_name: 'mig-provisioner', config: { size } }
  });
}

function spec(
  name: string,
  title: string,
  metadata: NonNullable<KernelSpec.ISpecModel['metadata']>
): KernelSpec.ISpecModel {
  return { name, display_name: title, language: 'python', argv: [], resources: {}, metadata };
}
