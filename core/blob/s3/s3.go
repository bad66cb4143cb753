// Package s3 keeps bodies in a bucket of an object store that speaks Amazon's S3: PREFIX + HASH is the name of an object.
//
// A body is spooled to a local folder first: its key is not known before, an attempt that failed is repeated from there, and the request is signed with its
// hash, so that the store itself refuses a body that was damaged on the way. What the store has answered with 200 is durable; objects of S3 are whole
// or not there. Reading asks for the range from where it is, and goes on from there when the connection breaks.
//
// What it is not: it makes no buckets and sets no policy on one; nobody but this server needs to reach it.
//
// Specifications: Amazon S3 API, AWS Signature Version 4 (by minio-go).
//
// Goroutines: those of net/http for its connections; Close ends the idle ones.
//
//	store, err := s3.Open(s3.Options{Endpoint: "https://s3.example.net", Bucket: "files", AccessKey: id, SecretKey: key, Spool: dir})
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/viaduct-xmpp/viaduct/core/blob"
)

// MaxBytes is the largest body: what S3 takes in one request.
const MaxBytes = 5 << 30

// Options of a Store. Endpoint, Bucket, AccessKey, SecretKey and Spool are required.
type Options struct {
	Endpoint string // https://HOST[:PORT]
	Region   string // "": us-east-1
	Bucket   string
	Prefix   string // of the names of objects, such as "files/"
	// AccessKey and SecretKey sign the requests.
	AccessKey, SecretKey string
	// VirtualHost puts the bucket's name into the host's and not into the path.
	VirtualHost bool
	// Spool is a local folder for bodies on their way; nobody else uses it.
	Spool string
	// Timeout is how long the store may take to begin an answer, and to go on with one; a minute.
	Timeout time.Duration
	// Retries is how often a request is tried; 4.
	Retries int
	// Transport replaces the HTTP transport; nil: one of its own.
	Transport http.RoundTripper
}

// Store implements blob.Store.
type Store struct {
	o     Options
	api   *minio.Core
	spool *blob.Spool
	idle  func()
}

var _ blob.Store = (*Store)(nil)

// Open returns the store of a bucket. It asks the store for nothing; Check does.
func Open(o Options) (*Store, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("blob: s3: %q is no endpoint; write https://HOST", o.Endpoint)
	}
	if o.Bucket == "" || o.AccessKey == "" || o.SecretKey == "" || o.Spool == "" {
		return nil, errors.New("blob: s3: bucket, access key, secret key and a folder are required")
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Retries <= 0 {
		o.Retries = 4
	}
	s := &Store{o: o, idle: func() {}}
	if o.Transport == nil {
		t := &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: o.Timeout, IdleConnTimeout: time.Minute,
			MaxIdleConnsPerHost: 16, DisableCompression: true, ForceAttemptHTTP2: true,
		}
		o.Transport, s.idle = t, t.CloseIdleConnections
	}
	lookup := minio.BucketLookupPath
	if o.VirtualHost {
		lookup = minio.BucketLookupDNS
	}
	s.api, err = minio.NewCore(u.Host, &minio.Options{Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: u.Scheme == "https",
		Region: o.Region, BucketLookup: lookup, Transport: o.Transport, MaxRetries: o.Retries})
	if err != nil {
		return nil, fmt.Errorf("blob: s3: %w", err)
	}
	s.spool, err = blob.OpenSpool(o.Spool)
	return s, err
}

// Check tells whether the bucket can be used with these keys.
func (s *Store) Check(ctx context.Context) error {
	ok, err := s.api.BucketExists(ctx, s.o.Bucket)
	if err == nil && !ok {
		err = errors.New("it does not exist")
	}
	if err != nil {
		return fmt.Errorf("blob: s3: bucket %s: %w", s.o.Bucket, err)
	}
	return nil
}

// Close ends idle connections.
func (s *Store) Close() { s.idle() }

func (s *Store) name(key string) string { return s.o.Prefix + key }

func missing(err error) bool {
	r := minio.ToErrorResponse(err)
	return r.Code == "NoSuchKey" || r.StatusCode == http.StatusNotFound
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, r io.Reader, claim func(key string, size int64) error) (err error) {
	sp, err := s.spool.Take(ctx, r)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sp.Discard()) }()
	if sp.Size > MaxBytes {
		return fmt.Errorf("blob: s3: %d bytes are more than one request may have", sp.Size)
	}
	if err := claim(sp.Key, sp.Size); err != nil {
		return err
	}
	info, err := s.api.Client.StatObject(ctx, s.o.Bucket, s.name(sp.Key), minio.StatObjectOptions{})
	if err == nil && info.Size == sp.Size {
		return nil // the same bytes are there
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("blob: s3: look for object: %w", err)
	}
	_, err = s.api.PutObject(ctx, s.o.Bucket, s.name(sp.Key), io.NewSectionReader(sp.File, 0, sp.Size), sp.Size, "", sp.Key,
		minio.PutObjectOptions{ContentType: "application/octet-stream", DisableContentSha256: true})
	if err != nil {
		return fmt.Errorf("blob: s3: put object: %w", err)
	}
	return nil
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, int64, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, 0, err
	}
	info, err := s.api.Client.StatObject(ctx, s.o.Bucket, s.name(key), minio.StatObjectOptions{})
	if err != nil && missing(err) {
		return nil, 0, blob.NotFound(key)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("blob: s3: look for object: %w", err)
	}
	return &object{s: s, ctx: ctx, name: s.name(key), size: info.Size}, info.Size, nil
}

// Delete implements blob.Store. S3 answers 204 whether there was one or not.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	err := s.api.RemoveObject(ctx, s.o.Bucket, s.name(key), minio.RemoveObjectOptions{})
	if err != nil && !missing(err) {
		return fmt.Errorf("blob: s3: delete object: %w", err)
	}
	return nil
}

// Walk implements blob.Store. Objects whose names are no keys are left alone.
func (s *Store) Walk(ctx context.Context, after string, fn func(key string, size int64, written time.Time) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := minio.ListObjectsOptions{Prefix: s.o.Prefix, Recursive: true}
	if after != "" {
		o.StartAfter = s.name(after)
	}
	for info := range s.api.ListObjectsIter(ctx, s.o.Bucket, o) {
		if info.Err != nil {
			return fmt.Errorf("blob: s3: list objects: %w", info.Err)
		}
		key, ok := strings.CutPrefix(info.Key, s.o.Prefix)
		if !ok || blob.CheckKey(key) != nil {
			continue
		}
		if err := fn(key, info.Size, info.LastModified); err != nil {
			return err
		}
	}
	return ctx.Err()
}
