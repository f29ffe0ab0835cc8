import './base.css';
import './status.css';
import './panel.css';
import './gpus.css';
import './leases.css';
import './size.css';
