import './base.css';
import './size.css';
