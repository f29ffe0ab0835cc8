/** A kernel whose size can be changed, and what it takes to change it. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { Kernel, Session } from '@jupyterlab/services';

import type { ILease } from './views.js';

export interface ISubject {
  /** null: the notebook has no kernel. */
  readonly kernelId: string | null;
  /** The kernelspec's name; of a notebook without a kernel the one it would like. */
  readonly kernelName: string;
  /** What the user calls it: the notebook's name. */
  readonly title: string;
  readonly lease: ILease | null;
  /**
   * As JupyterLab changes kernels: the new one is started (or in line), then the old one ends.
   * Throws what the user has not been told.
   */
  start(kernelspec: string): Promise<void>;
  /** Have this kernel, which runs already. */
  adopt(kernelId: string): Promise<void>;
}

/** Whether the server has given it up. */
export function isDead(kernel: Kernel.IKernelConnection): boolean {
  return kernel.status === 'dead';
}

/**
 * Another kernel for a notebook whose kernel the server has given up: its session is gone, too, and
 * JupyterLab, which does not know, would ask for it in vain. JupyterLab shows why if it fails.
 */
export async function startAnew(context: ISessionContext, name: string): Promise<void> {
  await context.shutdown().catch(() => undefined);
  await context.changeKernel({ name }).catch(() => null);
}

/** A notebook or console that is open. */
export function inContext(context: ISessionContext, lease: ILease | null): ISubject {
  const known = context.session?.kernel ?? null;
  const kernel = known === null || isDead(known) ? null : known;
  return {
    kernelId: kernel?.id ?? null,
    kernelName: known?.name ?? context.kernelPreference.name ?? '',
    title: context.name,
    lease,
    start: async name => {
      if (known !== null && isDead(known)) {
        await startAnew(context, name);
        return;
      }
      // JupyterLab itself shows why a notebook's kernel did not start.
      await context.changeKernel({ name }).catch(() => null);
    },
    adopt: async id => {
      if (!context.isDisposed && context.session?.kernel?.id !== id) {
        await context.changeKernel({ id });
      }
    }
  };
}

/** A kernel of this server, whether its notebook is open or not. */
export function inSession(
  sessions: Session.IManager,
  model: Session.IModel,
  lease: ILease | null
): ISubject {
  return {
    kernelId: model.kernel?.id ?? null,
    kernelName: model.kernel?.name ?? '',
    title: model.name || model.path,
    lease,
    start: async name => {
      const session = sessions.connectTo({ model });
      try {
        await session.changeKernel({ name });
      } finally {
        session.dispose();
      }
    },
    adopt: async () => {}
  };
}
