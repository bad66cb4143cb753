// Command protogen turns the contract of plugins into Go without protoc: it
// compiles plugins/bridgepb/bridge/v1/*.proto with protocompile and hands the
// result to protoc-gen-go and protoc-gen-go-grpc, which go.mod pins as tools.
//
//	go run ./internal/dev/protogen          # write the generated files
//	go run ./internal/dev/protogen -check   # fail if they are not up to date
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	source = "plugins/bridgepb"
	// descriptors are for the plugin in Python, which makes its messages of them.
	descriptors = "plugins/examples/python/bridge_v1.desc"
	module      = "github.com/viaduct-xmpp/viaduct"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	root := flag.String("root", ".", "the top of the source tree")
	flag.Parse()
	if err := run(context.Background(), *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root string, check bool) error {
	request, err := compile(ctx, filepath.Join(root, source))
	if err != nil {
		return err
	}
	stale := 0
	for _, tool := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		files, err := generate(ctx, root, tool, request)
		if err != nil {
			return err
		}
		for _, f := range files {
			changed, err := place(filepath.Join(root, filepath.FromSlash(f.GetName())), []byte(f.GetContent()), check)
			if err != nil {
				return err
			}
			stale += changed
		}
	}
	set, err := describe(request)
	if err != nil {
		return err
	}
	changed, err := place(filepath.Join(root, filepath.FromSlash(descriptors)), set, check)
	if err != nil {
		return err
	}
	stale += changed
	if check && stale > 0 {
		return fmt.Errorf("%d generated files are out of date: run go run ./internal/dev/protogen", stale)
	}
	return nil
}

// compile parses and links every .proto below dir into a generator's request.
func compile(ctx context.Context, dir string) (*pluginpb.CodeGeneratorRequest, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(p) == ".proto" {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{dir}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      proto.String("module=" + module),
	}
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, f := range files {
		byName[f.Path()] = protoutil.ProtoFromFileDescriptor(f)
	}
	// Dependencies first, as generators expect.
	done := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if done[name] || byName[name] == nil {
			return
		}
		done[name] = true
		for _, dep := range byName[name].GetDependency() {
			add(dep)
		}
		request.ProtoFile = append(request.ProtoFile, byName[name])
	}
	for _, name := range names {
		add(name)
	}
	return request, nil
}

// describe gives the descriptors without comments, dependencies first.
func describe(request *pluginpb.CodeGeneratorRequest) ([]byte, error) {
	var set descriptorpb.FileDescriptorSet
	for _, f := range request.GetProtoFile() {
		bare := proto.CloneOf(f)
		bare.SourceCodeInfo = nil
		set.File = append(set.File, bare)
	}
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(&set)
	if err != nil {
		return nil, fmt.Errorf("encode descriptors: %w", err)
	}
	return out, nil
}

func generate(ctx context.Context, root, tool string, request *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	input, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("%s: encode request: %w", tool, err)
	}
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Dir = root
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tool, err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return nil, fmt.Errorf("%s: decode response: %w", tool, err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s: %s", tool, strings.TrimSpace(response.GetError()))
	}
	return response.File, nil
}

// place writes content to name, or with check only compares; it returns 1 if
// they differ.
func place(name string, content []byte, check bool) (int, error) {
	old, err := os.ReadFile(name)
	if err == nil && bytes.Equal(old, content) {
		return 0, nil
	}
	if check {
		fmt.Fprintln(os.Stderr, "protogen: out of date:", name)
		return 1, nil
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		return 0, fmt.Errorf("write: %w", err)
	}
	return 1, nil
}
