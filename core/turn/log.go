package turn

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggers gives pion loggers that write to slog. Everything is debug: strangers can cause each of these lines.
type loggers struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (l loggers) NewLogger(scope string) logging.LeveledLogger {
	return &logger{l.log.With("relay", scope)}
}

type logger struct{ log *slog.Logger }

func (l *logger) write(level, msg string) {
	l.log.LogAttrs(context.Background(), slog.LevelDebug, "relay", slog.String("level", level), slog.String("text", msg))
}

func (l *logger) writef(level, format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.write(level, fmt.Sprintf(format, args...))
	}
}

// Trace implements logging.LeveledLogger; packets are not logged.
func (*logger) Trace(string) {}

// Tracef implements logging.LeveledLogger.
func (*logger) Tracef(string, ...any) {}

// Debug implements logging.LeveledLogger.
func (l *logger) Debug(msg string) { l.write("debug", msg) }

// Debugf implements logging.LeveledLogger.
func (l *logger) Debugf(format string, args ...any) { l.writef("debug", format, args) }

// Info implements logging.LeveledLogger.
func (l *logger) Info(msg string) { l.write("info", msg) }

// Infof implements logging.LeveledLogger.
func (l *logger) Infof(format string, args ...any) { l.writef("info", format, args) }

// Warn implements logging.LeveledLogger.
func (l *logger) Warn(msg string) { l.write("warn", msg) }

// Warnf implements logging.LeveledLogger.
func (l *logger) Warnf(format string, args ...any) { l.writef("warn", format, args) }

// Error implements logging.LeveledLogger.
func (l *logger) Error(msg string) { l.write("error", msg) }

// Errorf implements logging.LeveledLogger.
func (l *logger) Errorf(format string, args ...any) { l.writef("error", format, args) }
