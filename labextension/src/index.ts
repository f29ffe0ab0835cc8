import { notices } from './plugins/notices.js';
import { panel } from './plugins/panel.js';
import { picker } from './plugins/picker.js';
import { sizeButton, sizing } from './plugins/sizing.js';
import { slices } from './plugins/slices.js';
import { status } from './plugins/status.js';

export default [slices, panel, status, notices, sizing, sizeButton, picker];
