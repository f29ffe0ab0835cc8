import type { ISettingRegistry } from '@jupyterlab/settingregistry';

import type { Kind } from './news.js';

/** What the user wants to be told: the settings of notices; everything before they are loaded. */
export class Wishes {
  follow(settings: ISettingRegistry.ISettings): void {
    const read = (): void => {
      this._settings = settings.composite;
    };
    settings.changed.connect(read);
    read();
  }

  isWanted(kind: Kind): boolean {
    return this._settings.enabled !== false && this._settings[kind] !== false;
  }

  private _settings: Readonly<Record<string, unknown>> = {};
}
