/** JupyterLab's kernel dialog, with what is free of each size. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { inLine } from './availability.js';
import type { IChoice } from './choices.js';
import { ofSameKernel, smallestFree } from './choices.js';
import { overlay } from './overlay.js';

/** The session as the stock dialog shall see it: sizes with words about them, changed by `change`. */
export function withSizes(
  context: ISessionContext,
  all: readonly IChoice[],
  trans: TranslationBundle,
  change: (choice: IChoice) => Promise<void>
): ISessionContext {
  const specs = context.specsManager.specs;
  if (specs === null || all.length === 0) {
    return context;
  }
  const described = describe(specs, all, trans);
  const changeKernel: ISessionContext['changeKernel'] = async model => {
    const choice = all.find(each => each.kernelspec === model?.name);
    if (choice === undefined) {
      return context.changeKernel(model);
    }
    await change(choice);
    return context.session?.kernel ?? null;
  };
  return overlay(context, {
    specsManager: overlay(context.specsManager, { specs: described }),
    kernelDisplayName: displayName(context, described),
    kernelPreference: preference(context, specs, all),
    changeKernel
  });
}

function describe(
  specs: KernelSpec.ISpecModels,
  all: readonly IChoice[],
  trans: TranslationBundle
): KernelSpec.ISpecModels {
  const kernelspecs = { ...specs.kernelspecs };
  for (const choice of all) {
    const spec = kernelspecs[choice.kernelspec];
    if (spec !== undefined) {
      const title = `${spec.display_name} · ${inLine(trans, choice)}`;
      kernelspecs[choice.kernelspec] = { ...spec, display_name: title };
    }
  }
  return { ...specs, kernelspecs };
}

/** The dialog finds the current kernel by what it is called, so that must be the same everywhere. */
function displayName(context: ISessionContext, described: KernelSpec.ISpecModels): string {
  const specs = context.specsManager.specs?.kernelspecs ?? {};
  for (const [name, spec] of Object.entries(specs)) {
    if (spec?.display_name === context.kernelDisplayName) {
      return described.kernelspecs[name]?.display_name ?? spec.display_name;
    }
  }
  return context.kernelDisplayName;
}

/**
 * A notebook that prefers no kernel is proposed the smallest free size of the default kernel; if
 * none is free, the default kernel itself.
 */
function preference(
  context: ISessionContext,
  specs: KernelSpec.ISpecModels,
  all: readonly IChoice[]
): ISessionContext.IKernelPreference {
  const stated = context.kernelPreference;
  if (!context.hasNoKernel || stated.name || stated.language || stated.id) {
    return stated;
  }
  const smallest = smallestFree(ofSameKernel(all, specs.default));
  return { ...stated, name: smallest?.kernelspec ?? specs.default };
}
